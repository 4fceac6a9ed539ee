#include "client/cli/queue_flags.h"

#include "absl/strings/str_cat.h"
#include "client/cli/text.h"
#include "common/status_macros.h"
#include "google/protobuf/util/time_util.h"

namespace likeness::client {
namespace {

using ::google::protobuf::util::TimeUtil;

constexpr double kBytesOfGib = 1 << 30;

absl::StatusOr<absl::Time> ParseMoment(const std::string& text, absl::Time now) {
  absl::Duration from_now;
  if (absl::ParseDuration(text, &from_now) && from_now >= absl::ZeroDuration() &&
      from_now < absl::InfiniteDuration()) {
    return now + from_now;
  }
  absl::Time time;
  std::string error;
  if (absl::ParseTime(absl::RFC3339_full, text, &time, &error)) return time;
  return absl::InvalidArgumentError(
      absl::StrCat("--at is '", text,
                   "'; a time such as 2026-12-01T18:00:00Z, or how long from now, such as 2h, is "
                   "allowed."));
}

google::protobuf::Duration ToProto(absl::Duration duration) {
  return TimeUtil::NanosecondsToDuration(absl::ToInt64Nanoseconds(duration));
}

}  // namespace

void QueueFlags::AddTo(FlagSet& flags) {
  flags.AddHeading("Queue");
  flags.Add("priority", &priority, "1 to 5, the most urgent [3].");
  flags.Add("at", &at, "Not to start before: 2026-12-01T18:00:00Z, or 2h from now.");
  flags.Add("max-wait", &max_wait, "Give up when no worker took it for so long, e.g. 30m.");
  flags.Add("timeout", &timeout, "Stop it when it has run for so long, e.g. 2h.");
  flags.Add("require", &require, "KEY=VALUE: a label that the worker must have, may be repeated.");
  flags.Add("min-device-memory", &min_device_memory,
            "GiB of memory that the worker's device must have.");
}

absl::Status QueueFlags::Apply(absl::Time now, v1::Job& job) const {
  if (priority) job.set_priority(*priority);
  if (!at.empty()) {
    ASSIGN_OR_RETURN(const absl::Time time, ParseMoment(at, now));
    *job.mutable_schedule_time() = TimeUtil::NanosecondsToTimestamp(absl::ToUnixNanos(time));
  }
  if (max_wait) *job.mutable_max_queue_duration() = ToProto(*max_wait);
  if (timeout) *job.mutable_execution_timeout() = ToProto(*timeout);
  if (!require.empty()) {
    ASSIGN_OR_RETURN(const auto labels, ParseLabels("--require", require));
    job.mutable_requirements()->mutable_labels()->insert(labels.begin(), labels.end());
  }
  if (min_device_memory) {
    if (!(*min_device_memory > 0 && *min_device_memory < 1e6)) {
      return absl::InvalidArgumentError(absl::StrCat("--min-device-memory is ", *min_device_memory,
                                                     "; above 0 and below 1000000 is allowed."));
    }
    job.mutable_requirements()->set_min_device_memory_bytes(
        static_cast<int64_t>(*min_device_memory * kBytesOfGib));
  }
  return absl::OkStatus();
}

}  // namespace likeness::client

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "common/resource_names.h"
#include "common/shorten.h"
#include "server/jobs/policies/choice.h"
#include "server/jobs/proto_time.h"
#include "server/jobs/validation/label_validation.h"
#include "server/jobs/validation/spec_validation.h"

namespace likeness::server {
namespace {

constexpr size_t kMaxRequestIdBytes = 64;
constexpr int kMaxAttempts = 10;
constexpr int64_t kLastSecond = 253'402'300'799;  // of the year 9999

constexpr int64_t kMaxLimitSeconds = int64_t{365} * 24 * 60 * 60;
constexpr int64_t kMaxMemoryBytes = int64_t{1} << 50;

// A limit of time; it is there.
void CheckLimit(const std::string& field, const google::protobuf::Duration& limit,
                FieldChecker& checker) {
  const absl::Duration said = FromProto(limit);
  if (said >= absl::Seconds(1) && said <= absl::Seconds(kMaxLimitSeconds)) return;
  checker.Add(
      field, absl::StrCat("is ", absl::FormatDuration(said), "; 1 s to 365 days is allowed"),
      "OUT_OF_RANGE", {{"minimum", "1s"}, {"maximum", absl::StrCat(kMaxLimitSeconds, "s")}});
}

void CheckQueueing(const v1::Job& job, FieldChecker& checker) {
  if (job.has_max_attempts()) {
    checker.Integer("job.max_attempts", job.max_attempts(), 1, kMaxAttempts);
  }
  if (job.has_priority()) {
    checker.Integer("job.priority", job.priority(), kLowestPriority, kHighestPriority);
  }
  const auto& schedule = job.schedule_time();
  const bool is_time = schedule.seconds() >= 0 && schedule.seconds() <= kLastSecond &&
                       schedule.nanos() >= 0 && schedule.nanos() < 1'000'000'000;
  if (!is_time) {
    checker.Add("job.schedule_time", "is no time between the years 1970 and 9999", "OUT_OF_RANGE");
  }
  if (job.has_max_queue_duration()) {
    CheckLimit("job.max_queue_duration", job.max_queue_duration(), checker);
  }
  if (job.has_execution_timeout()) {
    CheckLimit("job.execution_timeout", job.execution_timeout(), checker);
  }
  if (job.has_stall_timeout()) {
    CheckLimit("job.stall_timeout", job.stall_timeout(), checker);
  }
  CheckMatchLabels("job.requirements.labels", job.requirements().labels(), checker);
  checker.Integer("job.requirements.min_device_memory_bytes",
                  job.requirements().min_device_memory_bytes(), 0, kMaxMemoryBytes);
}

constexpr size_t kMaxQuotedBytes = 100;

}  // namespace

std::string NotOfForm(absl::string_view text, absl::string_view form) {
  return absl::StrCat("\"", absl::Utf8SafeCEscape(Shorten(text, kMaxQuotedBytes)),
                      "\" is not of the form ", form);
}

void CheckCreateRequest(const v1::CreateJobRequest& request, FieldChecker& checker) {
  if (!request.job_id().empty() && !IsResourceId(request.job_id())) {
    checker.Add("job_id", NotOfForm(request.job_id(), kIdForm), "INVALID_NAME");
  }
  if (request.request_id().size() > kMaxRequestIdBytes) {
    checker.Add("request_id",
                absl::StrCat("has ", request.request_id().size(), " bytes; at most ",
                             kMaxRequestIdBytes, " are allowed"),
                "INVALID_REQUEST_ID", {{"limit", absl::StrCat(kMaxRequestIdBytes)}});
  }
  CheckLabels("job.labels", request.job().labels(), checker);
  CheckQueueing(request.job(), checker);
  if (request.job().spec_case() == v1::Job::SPEC_NOT_SET) {
    checker.Add("job.spec",
                "is missing; set fine_tune, generate, evaluate, export_model or import_model",
                "SPEC_MISSING");
  }
}

}  // namespace likeness::server

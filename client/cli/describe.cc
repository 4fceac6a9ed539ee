#include "client/cli/describe.h"

#include <cmath>
#include <map>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "client/cli/enum_flag.h"
#include "client/cli/names.h"
#include "client/cli/text.h"
#include "common/job_spec.h"
#include "google/protobuf/util/time_util.h"

namespace likeness::client {

absl::Time ToTime(const google::protobuf::Timestamp& time) {
  return absl::FromUnixNanos(google::protobuf::util::TimeUtil::TimestampToNanoseconds(time));
}

std::string StateText(v1::JobState state) { return EnumWord(state); }

std::string MethodText(const v1::Job& job) {
  return job.spec_case() == v1::Job::SPEC_NOT_SET ? "" : MethodOf(job);
}

std::string AboutText(const v1::Job& job) {
  if (job.has_fine_tune()) return SubjectOf(job.fine_tune()).class_noun();
  if (job.has_import_model()) return job.import_model().file_name();
  if (job.has_evaluate() || job.has_export_model()) {
    const v1::ModelSelection& model = SelectionOf(job);
    return absl::StrCat(ShortName(model.name()), AdaptersText(model));
  }
  if (job.generate().prompts().empty()) return "";
  const auto& prompts = job.generate().prompts();
  const auto more = prompts.size() > 1 ? absl::StrCat(" and ", prompts.size() - 1, " more") : "";
  return absl::StrCat("\"", Truncate(prompts[0], 32), "\"", more);
}

std::string AdaptersText(const v1::ModelSelection& selection) {
  std::string text;
  for (const auto& adapter : selection.adapters()) {
    absl::StrAppend(&text, " + ", ShortName(adapter.model()));
    if (adapter.has_strength()) absl::StrAppend(&text, ":", Figure(adapter.strength()));
  }
  return text;
}

namespace {

// "gpu=yes and 8.0 GB of device memory"; empty without requirements.
std::string NeedsText(const v1::Requirements& requirements) {
  std::string text = LabelsText(requirements.labels());
  if (requirements.min_device_memory_bytes() > 0) {
    absl::StrAppend(&text, text.empty() ? "" : " and ",
                    ByteSize(requirements.min_device_memory_bytes()), " of device memory");
  }
  return text;
}

}  // namespace

std::string QueueText(const v1::Job& job, absl::Time now) {
  const absl::Time scheduled = job.has_schedule_time() ? ToTime(job.schedule_time()) : now;
  if (scheduled > now) {
    return absl::StrCat("not before ",
                        absl::FormatTime("%Y-%m-%d %H:%M:%S UTC", scheduled, absl::UTCTimeZone()));
  }
  std::string text =
      job.queue_position() > 0 ? absl::StrCat(job.queue_position(), " ahead") : "next in line";
  if (const std::string needs = NeedsText(job.requirements()); !needs.empty()) {
    absl::StrAppend(&text, " for a worker with ", needs);
  }
  if (job.has_estimated_start_time()) {
    const absl::Duration wait = ToTime(job.estimated_start_time()) - now;
    if (wait > absl::ZeroDuration()) {
      absl::StrAppend(&text, " · starts in about ", RoundTime(wait));
    }
  }
  return text;
}

std::string WaitText(const v1::Job& job, absl::Time now) {
  if (job.has_start_time()) return RoundTime(ToTime(job.start_time()) - ToTime(job.create_time()));
  if (job.state() != v1::JOB_STATE_PENDING) return "";
  return RoundTime(now - ToTime(job.create_time()));
}

std::string Moment(const google::protobuf::Timestamp& time, absl::Time now) {
  const auto moment = ToTime(time);
  const auto text = absl::FormatTime("%Y-%m-%d %H:%M:%S UTC", moment, absl::UTCTimeZone());
  if (moment > now) return absl::StrCat(text, ", in ", RoundTime(moment - now));
  return absl::StrCat(text, ", ", RoundTime(now - moment), " ago");
}

std::string LabelsText(const google::protobuf::Map<std::string, std::string>& labels) {
  const std::map<std::string, std::string> sorted(labels.begin(), labels.end());
  return absl::StrJoin(sorted, " · ", absl::PairFormatter("="));
}

std::string MeasurementsText(const v1::TrainingMeasurements& measurements) {
  std::vector<std::string> parts;
  if (measurements.has_validation_loss()) {
    parts.push_back(absl::StrCat("step ", measurements.validation_loss_step()));
    parts.push_back(absl::StrCat("validation loss ", Figure(measurements.validation_loss())));
  }
  const bool scored = measurements.has_subject_score() || measurements.has_prompt_score();
  if (scored &&
      (parts.empty() || measurements.score_step() != measurements.validation_loss_step())) {
    parts.push_back(absl::StrCat("step ", measurements.score_step()));
  }
  if (measurements.has_subject_score()) {
    parts.push_back(absl::StrCat("subject ", Figure(measurements.subject_score())));
  }
  if (measurements.has_prompt_score()) {
    parts.push_back(absl::StrCat("prompt ", Figure(measurements.prompt_score())));
  }
  return absl::StrJoin(parts, " · ");
}

std::string MetricText(absl::string_view name, double value) {
  if (!std::isfinite(value)) return Figure(value);
  if (absl::EndsWith(name, "_bytes")) return ByteSize(static_cast<int64_t>(value));
  if (absl::EndsWith(name, "_seconds")) return RoundTime(absl::Seconds(value));
  return Figure(value);
}

}  // namespace likeness::client

#include "server/jobs/state_changes.h"

#include <algorithm>
#include <cstdlib>
#include <string>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "common/logging.h"
#include "server/jobs/job_state.h"
#include "server/jobs/policies/attempts.h"
#include "server/jobs/proto_time.h"

namespace likeness::server {
namespace {

// An etag names the event of the last change of state, and how often clients have seen the job
// change since. A weak one, since progress does not change it.
std::string Etag(int64_t state_seq, int64_t changes) {
  return absl::StrCat("W/\"", state_seq, "-", changes, "\"");
}

}  // namespace

absl::Time DateOf(const JobRecord& record, const Moment& now) {
  return std::max(now.wall, record.last_event_time);
}

v1::JobEvent& AddEvent(JobRecord& record, const Moment& now) {
  v1::JobEvent& event = record.new_events.emplace_back();
  event.set_seq(++record.last_seq);
  record.last_event_time = DateOf(record, now);
  *event.mutable_time() = ToProto(record.last_event_time);
  return event;
}

void Touch(JobRecord& record) {
  absl::string_view etag = record.job.etag();
  absl::ConsumePrefix(&etag, "W/\"");
  absl::ConsumeSuffix(&etag, "\"");
  const std::pair<absl::string_view, absl::string_view> parts = absl::StrSplit(etag, '-');
  int64_t seq = 0;
  int64_t changes = 0;
  (void)absl::SimpleAtoi(parts.first, &seq);
  (void)absl::SimpleAtoi(parts.second, &changes);
  record.job.set_etag(Etag(seq, changes + 1));
}

void SetState(JobRecord& record, v1::JobState to, const Cause& cause, const Moment& now) {
  const v1::JobState from = record.job.state();
  if (!CanBecome(from, to)) {  // a defect of ours; committing it would be worse than stopping
    LogError("impossible transition", {{"from", StateLabel(from)}, {"to", StateLabel(to)}});
    std::abort();
  }
  if (IsLeased(from) && !IsLeased(to)) {
    const absl::Duration attempt = now.steady - record.attempt_time;
    record.run_time += attempt;
    *record.job.mutable_worker_duration() =
        ToProto(FromProto(record.job.worker_duration()) + attempt);
  }
  if (!IsLeased(to)) record.deadline = absl::InfiniteFuture();
  record.job.set_state(to);
  record.job.set_etag(Etag(record.last_seq + 1, 0));
  if (IsTerminal(to)) *record.job.mutable_end_time() = ToProto(DateOf(record, now));
  v1::JobEvent& event = AddEvent(record, now);
  auto* change = event.mutable_state_change();
  change->set_from(from);
  change->set_to(to);
  change->set_reason(cause.reason);
  change->set_detail(std::string(cause.detail));
  change->set_attempt(record.job.attempt());
  if (IsTerminal(to)) *change->mutable_job() = record.job;
}

void SetProgress(JobRecord& record, v1::Progress progress) {
  const v1::Progress& before = record.job.progress();
  if (before.has_measurements() && !progress.has_measurements()) {
    *progress.mutable_measurements() = before.measurements();
  }
  *record.job.mutable_progress() = std::move(progress);
}

void Enqueue(JobRecord& record, const Cause& cause, absl::Time not_before, const Moment& now) {
  record.not_before = not_before;
  v1::Progress queued;
  queued.set_phase(v1::JOB_PHASE_QUEUED);
  SetProgress(record, std::move(queued));
  SetState(record, v1::JOB_STATE_PENDING, cause, now);
  record.deadline = QueueDeadline(record.job, not_before);
}

void EnqueueAnew(JobRecord& record, const Cause& cause, const Moment& now) {
  record.queue_time = now.steady;
  if (record.job.has_schedule_time()) {
    record.queue_time = std::max(now.steady, now.Steadied(FromProto(record.job.schedule_time())));
  }
  Enqueue(record, cause, record.queue_time, now);
}

void Finish(JobRecord& record, v1::JobState state, const Cause& cause, const Moment& now) {
  if (state == v1::JOB_STATE_SUCCEEDED) {
    record.job.mutable_progress()->set_phase(v1::JOB_PHASE_DONE);
  }
  SetState(record, state, cause, now);
}

}  // namespace likeness::server

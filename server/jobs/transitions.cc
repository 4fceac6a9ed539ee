#include "server/jobs/transitions.h"

#include <algorithm>
#include <cstdlib>

#include "absl/strings/str_cat.h"
#include "common/digest.h"
#include "common/logging.h"
#include "common/rpc_error.h"
#include "google/protobuf/util/message_differencer.h"
#include "server/base/planted.h"
#include "server/jobs/job_state.h"
#include "server/jobs/proto_time.h"

namespace likeness::server {
namespace {

constexpr int kMaxWarnings = 100;

// The date of what happens to the job now: its history does not go back, whatever becomes of the
// system's date.
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

// The only place where a state changes.
void SetState(JobRecord& record, v1::JobState to, absl::string_view reason, const Moment& now) {
  const v1::JobState from = record.job.state();
  if (!CanBecome(from, to)) {  // a defect of ours; committing it would be worse than stopping
    LogError("impossible transition", {{"from", StateLabel(from)}, {"to", StateLabel(to)}});
    std::abort();
  }
  if (IsLeased(from) && !IsLeased(to)) record.run_time += now.steady - record.attempt_time;
  if (!IsLeased(to)) record.deadline = absl::InfiniteFuture();
  record.job.set_state(to);
  record.job.set_etag(absl::StrCat("s", record.last_seq + 1));
  if (IsTerminal(to)) *record.job.mutable_end_time() = ToProto(DateOf(record, now));
  v1::JobEvent& event = AddEvent(record, now);
  auto* change = event.mutable_state_change();
  change->set_from(from);
  change->set_to(to);
  change->set_reason(std::string(reason));
  change->set_attempt(record.job.attempt());
  if (IsTerminal(to)) *change->mutable_job() = record.job;
}

absl::Status CheckLive(const JobRecord& record, absl::string_view token, const Moment& now) {
  const bool own = record.lease_token == token || Planted("no-fencing");
  if (IsLeased(record.job.state()) && own && now.steady < record.lease_expire) {
    return absl::OkStatus();
  }
  return LeaseLost();
}

absl::Status CheckEtag(const JobRecord& record, absl::string_view etag) {
  if (etag.empty() || etag == record.job.etag()) return absl::OkStatus();
  return RpcError(absl::StatusCode::kAborted, "ETAG_MISMATCH",
                  absl::StrCat("the job has changed: its etag is \"", record.job.etag(), "\""));
}

absl::Status JobFinished(const JobRecord& record) {
  return RpcError(absl::StatusCode::kFailedPrecondition, "JOB_FINISHED",
                  absl::StrCat("the job has ended: it is ", StateLabel(record.job.state())));
}

void Enqueue(JobRecord& record, absl::string_view reason, absl::Time not_before,
             const Moment& now) {
  record.not_before = not_before;
  record.job.mutable_progress()->Clear();
  record.job.mutable_progress()->set_phase("queued");
  SetState(record, v1::JOB_STATE_PENDING, reason, now);
  record.deadline = QueueDeadline(record.job, not_before);
}

// From the end of the queue, as a job that is new at `now`.
void EnqueueAnew(JobRecord& record, absl::string_view reason, const Moment& now) {
  record.queue_time = now.steady;
  if (record.job.has_schedule_time()) {
    record.queue_time = std::max(now.steady, now.Steadied(FromProto(record.job.schedule_time())));
  }
  Enqueue(record, reason, record.queue_time, now);
}

void Finish(JobRecord& record, v1::JobState state, absl::string_view reason, const Moment& now) {
  if (state == v1::JOB_STATE_SUCCEEDED) record.job.mutable_progress()->set_phase("done");
  SetState(record, state, reason, now);
}

// An attempt that counts has failed.
void AfterFailure(JobRecord& record, const google::rpc::Status& error, bool retryable,
                  absl::string_view reason, const RetryPolicy& policy, const Moment& now) {
  if (record.job.state() == v1::JOB_STATE_CANCELLING) {
    return Finish(record, v1::JOB_STATE_CANCELLED, reason, now);
  }
  ++record.failures;
  auto delay = DelayAfterFailure(record.failures, record.job.max_attempts(), policy);
  if (retryable && delay) return Enqueue(record, reason, now.steady + *delay, now);
  *record.job.mutable_error() = error;
  Finish(record, v1::JOB_STATE_FAILED, reason, now);
}

bool WasGivenUp(const JobRecord& record, const std::string& token, LeaseEnd how) {
  return record.ended_by == how && record.ended_token == token;
}

void GiveUp(JobRecord& record, LeaseEnd how) {
  record.ended_token = record.lease_token;
  record.ended_by = how;
}

// Tells heartbeats apart that must count once; empty for one whose repetition changes nothing.
std::string FingerprintOf(const v1::HeartbeatRequest& news) {
  const bool lasting = news.samples_size() + news.log_lines_size() > 0 || news.has_checkpoint();
  return lasting ? Sha256Hex(news.SerializeAsString()) : "";
}

void AddWarnings(JobRecord& record, const v1::HeartbeatRequest& news) {
  auto* warnings = record.job.mutable_warnings();
  for (const std::string& warning : news.warnings()) {
    const bool known = std::find(warnings->begin(), warnings->end(), warning) != warnings->end();
    if (!known && warnings->size() < kMaxWarnings) *warnings->Add() = warning;
  }
}

}  // namespace

absl::Status LeaseLost() {
  return RpcError(absl::StatusCode::kAborted, "LEASE_LOST",
                  "the lease expired or was taken back; drop this attempt");
}

void Begin(JobRecord& record, const Moment& now) {
  *record.job.mutable_create_time() = ToProto(now.wall);
  EnqueueAnew(record, "created", now);
}

void Lease(JobRecord& record, const std::string& token, const std::string& worker,
           const LeasePolicy& policy, const Moment& now) {
  record.lease_token = token;
  record.lease_expire = now.steady + policy.duration;
  record.worker = worker;
  record.heard = false;
  record.job.set_attempt(record.job.attempt() + 1);
  if (!record.job.has_start_time()) *record.job.mutable_start_time() = ToProto(DateOf(record, now));
  record.job.mutable_progress()->set_phase("preparing");
  record.attempt_time = now.steady;
  record.deadline = ExecutionDeadline(record.job, now.steady, record.run_time);
  SetState(record, v1::JOB_STATE_RUNNING, absl::StrCat("leased by ", worker), now);
}

absl::Status Renew(JobRecord& record, const v1::HeartbeatRequest& news, const LeasePolicy& policy,
                   const Moment& now) {
  if (auto live = CheckLive(record, news.lease_token(), now); !live.ok()) return live;
  record.lease_expire = now.steady + policy.duration;
  record.heard = true;
  const std::string fingerprint = FingerprintOf(news);
  if (!fingerprint.empty() && fingerprint == record.last_news) return absl::OkStatus();
  record.last_news = fingerprint.empty() ? record.last_news : fingerprint;
  if (news.has_resolved()) *record.job.mutable_resolved() = news.resolved();
  AddWarnings(record, news);
  for (const v1::LogLine& line : news.log_lines()) *AddEvent(record, now).mutable_log() = line;
  for (const v1::SampleEvent& sample : news.samples()) {
    *AddEvent(record, now).mutable_sample() = sample;
  }
  using google::protobuf::util::MessageDifferencer;
  if (news.has_progress() && !MessageDifferencer::Equals(news.progress(), record.job.progress())) {
    *record.job.mutable_progress() = news.progress();
    *AddEvent(record, now).mutable_progress() = news.progress();
  }
  if (news.has_checkpoint() && !(Planted("checkpoint-stale") && record.checkpoint)) {
    record.checkpoint = news.checkpoint();
    AddEvent(record, now).mutable_checkpoint()->set_step(news.checkpoint().step());
  }
  return absl::OkStatus();
}

Completion Complete(JobRecord& record, const v1::CompleteLeaseRequest& outcome, const Moment& now) {
  const bool same_token = record.lease_token == outcome.lease_token();
  const auto cancelled = RpcError(absl::StatusCode::kFailedPrecondition, "JOB_CANCELLED",
                                  "the job was asked to stop, and its outputs are dropped");
  if (same_token && record.job.state() == v1::JOB_STATE_SUCCEEDED) return {absl::OkStatus()};
  if (same_token && record.job.state() == v1::JOB_STATE_CANCELLED) return {cancelled};
  if (auto live = CheckLive(record, outcome.lease_token(), now); !live.ok()) return {live};
  if (record.job.state() == v1::JOB_STATE_CANCELLING) {
    Finish(record, v1::JOB_STATE_CANCELLED, "cancelled by the client", now);
    return {cancelled, true};
  }
  *record.job.mutable_outputs() = outcome.outputs();
  *record.job.mutable_metrics() = outcome.metrics();
  if (outcome.has_resolved()) *record.job.mutable_resolved() = outcome.resolved();
  Finish(record, v1::JOB_STATE_SUCCEEDED, "done", now);
  return {absl::OkStatus(), true};
}

absl::Status Fail(JobRecord& record, const v1::FailLeaseRequest& failure, const RetryPolicy& policy,
                  const Moment& now) {
  if (WasGivenUp(record, failure.lease_token(), LeaseEnd::kFailed)) return absl::OkStatus();
  if (auto live = CheckLive(record, failure.lease_token(), now); !live.ok()) return live;
  GiveUp(record, LeaseEnd::kFailed);
  AfterFailure(record, failure.error(), failure.retryable(), failure.error().message(), policy,
               now);
  return absl::OkStatus();
}

absl::Status Release(JobRecord& record, const v1::ReleaseLeaseRequest& release, const Moment& now) {
  if (WasGivenUp(record, release.lease_token(), LeaseEnd::kReleased)) return absl::OkStatus();
  if (record.lease_token == release.lease_token() &&
      record.job.state() == v1::JOB_STATE_CANCELLED) {
    return absl::OkStatus();
  }
  if (auto live = CheckLive(record, release.lease_token(), now); !live.ok()) return live;
  if (record.job.state() == v1::JOB_STATE_CANCELLING) {
    GiveUp(record, LeaseEnd::kReleased);
    Finish(record, v1::JOB_STATE_CANCELLED, "cancelled by the client", now);
    return absl::OkStatus();
  }
  if (release.reason() == v1::RELEASE_REASON_CANCELLED) {
    return RpcError(absl::StatusCode::kFailedPrecondition, "JOB_NOT_CANCELLING",
                    "nobody asked the job to stop; release it as PREEMPTED");
  }
  GiveUp(record, LeaseEnd::kReleased);
  Enqueue(record, "preempted", now.steady, now);
  return absl::OkStatus();
}

absl::Status Cancel(JobRecord& record, absl::string_view etag, const Moment& now) {
  if (auto same = CheckEtag(record, etag); !same.ok()) return same;
  switch (record.job.state()) {
    case v1::JOB_STATE_PENDING:
      Finish(record, v1::JOB_STATE_CANCELLED, "cancelled by the client", now);
      return absl::OkStatus();
    case v1::JOB_STATE_RUNNING:
      SetState(record, v1::JOB_STATE_CANCELLING, "cancelled by the client", now);
      return absl::OkStatus();
    case v1::JOB_STATE_CANCELLING:
    case v1::JOB_STATE_CANCELLED:
      return absl::OkStatus();
    default:
      return JobFinished(record);
  }
}

absl::Status Retry(JobRecord& record, absl::string_view etag, bool checkpoint_stored,
                   const Moment& now) {
  if (auto same = CheckEtag(record, etag); !same.ok()) return same;
  switch (record.job.state()) {
    case v1::JOB_STATE_FAILED:
    case v1::JOB_STATE_CANCELLED:
      record.job.clear_error();
      record.job.clear_end_time();
      record.failures = 0;
      record.run_time = absl::ZeroDuration();
      if (!checkpoint_stored) record.checkpoint.reset();
      EnqueueAnew(record, "retried by the client", now);
      return absl::OkStatus();
    case v1::JOB_STATE_PENDING:
    case v1::JOB_STATE_RUNNING:
      return absl::OkStatus();
    case v1::JOB_STATE_CANCELLING:
      return RpcError(absl::StatusCode::kFailedPrecondition, "JOB_CANCELLING",
                      "the job was asked to stop and has not stopped yet; retry it once it has");
    default:
      return JobFinished(record);
  }
}

absl::Status CheckDeletable(const JobRecord& record, absl::string_view etag) {
  if (auto same = CheckEtag(record, etag); !same.ok()) return same;
  if (IsTerminal(record.job.state())) return absl::OkStatus();
  return RpcError(absl::StatusCode::kFailedPrecondition, "JOB_NOT_FINISHED",
                  absl::StrCat("the job is ", StateLabel(record.job.state()),
                               "; only one that has ended can be deleted: cancel it first"));
}

void Expire(JobRecord& record, const RetryPolicy& policy, const Moment& now) {
  auto error = ToRpcStatus(RpcError(
      absl::StatusCode::kUnavailable, "WORKER_LOST",
      absl::StrCat("the worker was lost in attempt ", record.job.attempt(),
                   ": it sent no heartbeat until its lease ran out, and no attempts are left")));
  AfterFailure(record, error, true, "lease lost", policy, now);
}

void TimeOut(JobRecord& record, const Moment& now) {
  const v1::Job& job = record.job;
  if (job.state() == v1::JOB_STATE_CANCELLING) {
    return Finish(record, v1::JOB_STATE_CANCELLED, "cancelled by the client", now);
  }
  const auto deadline_exceeded = [](absl::string_view reason, const std::string& message) {
    return ToRpcStatus(RpcError(absl::StatusCode::kDeadlineExceeded, reason, message));
  };
  if (job.state() == v1::JOB_STATE_PENDING) {
    *record.job.mutable_error() = deadline_exceeded(
        "QUEUE_TIMEOUT", absl::StrCat("no worker took the job within its max_queue_duration of ",
                                      absl::FormatDuration(FromProto(job.max_queue_duration()))));
    return Finish(record, v1::JOB_STATE_FAILED, "waited too long", now);
  }
  *record.job.mutable_error() = deadline_exceeded(
      "EXECUTION_TIMEOUT", absl::StrCat("the job ran for longer than its execution_timeout of ",
                                        absl::FormatDuration(FromProto(job.execution_timeout()))));
  Finish(record, v1::JOB_STATE_FAILED, "ran too long", now);
}

}  // namespace likeness::server

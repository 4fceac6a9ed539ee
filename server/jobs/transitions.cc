#include "server/jobs/transitions.h"

#include <algorithm>
#include <map>
#include <string>

#include "absl/strings/str_cat.h"
#include "common/rpc_error.h"
#include "common/spec_revision.h"
#include "google/protobuf/util/message_differencer.h"
#include "server/base/planted.h"
#include "server/jobs/job_state.h"
#include "server/jobs/proto_time.h"
#include "server/jobs/state_changes.h"

namespace likeness::server {
namespace {

constexpr int kMaxWarnings = 100;

constexpr Cause kCancelled = {v1::STATE_CHANGE_REASON_CANCELLED, "cancelled by the client"};

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
                  absl::StrCat("the job has changed: its etag is \"", record.job.etag(), "\""),
                  {{"resource", record.job.name()}, {"etag", record.job.etag()}});
}

absl::Status JobFinished(const JobRecord& record) {
  return RpcError(
      absl::StatusCode::kFailedPrecondition, "JOB_FINISHED",
      absl::StrCat("the job has ended: it is ", StateLabel(record.job.state())),
      {{"resource", record.job.name()}, {"state", v1::JobState_Name(record.job.state())}});
}

// An attempt that counts has failed.
void AfterFailure(JobRecord& record, const google::rpc::Status& error, bool retryable,
                  const Cause& cause, const RetryPolicy& policy, const Moment& now) {
  if (record.job.state() == v1::JOB_STATE_CANCELLING) {
    return Finish(record, v1::JOB_STATE_CANCELLED, cause, now);
  }
  ++record.failures;
  auto delay = DelayAfterFailure(record.failures, record.job.max_attempts(), policy);
  if (retryable && delay) return Enqueue(record, cause, now.steady + *delay, now);
  *record.job.mutable_error() = error;
  Finish(record, v1::JOB_STATE_FAILED, cause, now);
}

bool WasGivenUp(const JobRecord& record, const std::string& token, LeaseEnd how) {
  return record.ended_by == how && record.ended_token == token;
}

void GiveUp(JobRecord& record, LeaseEnd how) {
  record.ended_token = record.lease_token;
  record.ended_by = how;
}

// Each new one is a log line besides, so that whoever follows the job reads it now.
void AddWarnings(JobRecord& record, const v1::HeartbeatRequest& news, const Moment& now) {
  auto* warnings = record.job.mutable_warnings();
  const int before = warnings->size();
  for (const std::string& warning : news.warnings()) {
    const bool known = std::find(warnings->begin(), warnings->end(), warning) != warnings->end();
    if (known || warnings->size() >= kMaxWarnings) continue;
    *warnings->Add() = warning;
    v1::LogLine& line = *AddEvent(record, now).mutable_log();
    line.set_severity(v1::LOG_SEVERITY_WARNING);
    line.set_text(warning);
  }
  if (warnings->size() != before) Touch(record);
}

}  // namespace

std::string RepeatableRequest(const v1::AcquireLeaseRequest& request) {
  if (request.request_id().empty()) return "";
  return absl::StrCat(request.worker(), "/", request.instance(), "/", request.request_id());
}

bool BringsMoreThanProgress(const v1::HeartbeatRequest& news) {
  return news.has_resolved() || news.has_checkpoint() ||
         news.warnings_size() + news.samples_size() + news.log_lines_size() > 0;
}

absl::Status LeaseLost() {
  return RpcError(absl::StatusCode::kAborted, "LEASE_LOST",
                  "the lease expired or was taken back; drop this attempt");
}

void Begin(JobRecord& record, const Moment& now) {
  *record.job.mutable_create_time() = ToProto(now.wall);
  EnqueueAnew(record, {v1::STATE_CHANGE_REASON_CREATED, "created"}, now);
}

void Lease(JobRecord& record, const std::string& token, const v1::AcquireLeaseRequest& request,
           const LeasePolicy& policy, const Moment& now) {
  record.lease_token = token;
  record.lease_expire = now.steady + policy.duration;
  record.worker = request.worker();
  record.job.set_rehearsed(request.rehearsal());
  record.job.set_device(request.device());
  record.acquire_request = RepeatableRequest(request);
  record.last_sequence = 0;
  record.heard = false;
  record.job.set_attempt(record.job.attempt() + 1);
  if (!record.job.has_start_time()) *record.job.mutable_start_time() = ToProto(DateOf(record, now));
  record.job.mutable_progress()->set_phase(v1::JOB_PHASE_PREPARING);
  record.attempt_time = now.steady;
  record.deadline = ExecutionDeadline(record.job, now.steady, record.run_time);
  const std::string detail = absl::StrCat("leased by ", request.worker());
  SetState(record, v1::JOB_STATE_RUNNING, {v1::STATE_CHANGE_REASON_LEASED, detail}, now);
}

absl::Status Renew(JobRecord& record, const v1::HeartbeatRequest& news, const LeasePolicy& policy,
                   const Moment& now) {
  if (auto live = CheckLive(record, news.lease_token(), now); !live.ok()) return live;
  record.lease_expire = now.steady + policy.duration;
  record.heard = true;
  if (news.sequence() > 0 && news.sequence() <= record.last_sequence) return absl::OkStatus();
  if (BringsMoreThanProgress(news)) {
    record.last_sequence = std::max(record.last_sequence, news.sequence());
  }
  if (news.has_resolved()) {
    *record.job.mutable_resolved() = news.resolved();
    Touch(record);
  }
  AddWarnings(record, news, now);
  for (const v1::LogLine& line : news.log_lines()) *AddEvent(record, now).mutable_log() = line;
  for (const v1::SampleEvent& sample : news.samples()) {
    *AddEvent(record, now).mutable_sample() = sample;
  }
  using google::protobuf::util::MessageDifferencer;
  if (news.has_progress()) {
    const v1::Progress before = record.job.progress();
    SetProgress(record, news.progress());
    if (!MessageDifferencer::Equals(before, record.job.progress())) {
      *AddEvent(record, now).mutable_progress() = record.job.progress();
    }
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
    Finish(record, v1::JOB_STATE_CANCELLED, kCancelled, now);
    return {cancelled, true};
  }
  *record.job.mutable_outputs() = outcome.outputs();
  *record.job.mutable_metrics() = outcome.metrics();
  if (outcome.has_resolved()) *record.job.mutable_resolved() = outcome.resolved();
  Finish(record, v1::JOB_STATE_SUCCEEDED, {v1::STATE_CHANGE_REASON_COMPLETED, "done"}, now);
  return {absl::OkStatus(), true};
}

absl::Status Fail(JobRecord& record, const v1::FailLeaseRequest& failure, const RetryPolicy& policy,
                  const Moment& now) {
  if (WasGivenUp(record, failure.lease_token(), LeaseEnd::kFailed)) return absl::OkStatus();
  if (auto live = CheckLive(record, failure.lease_token(), now); !live.ok()) return live;
  GiveUp(record, LeaseEnd::kFailed);
  const bool stalled = ErrorReason(FromRpcStatus(failure.error())) == kWorkerStalled;
  const Cause cause = {
      stalled ? v1::STATE_CHANGE_REASON_STALLED : v1::STATE_CHANGE_REASON_ATTEMPT_FAILED,
      failure.error().message()};
  AfterFailure(record, failure.error(), failure.retryable(), cause, policy, now);
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
    Finish(record, v1::JOB_STATE_CANCELLED, kCancelled, now);
    return absl::OkStatus();
  }
  if (release.reason() == v1::RELEASE_REASON_CANCELLED) {
    return RpcError(absl::StatusCode::kFailedPrecondition, "JOB_NOT_CANCELLING",
                    "nobody asked the job to stop; release it as PREEMPTED");
  }
  GiveUp(record, LeaseEnd::kReleased);
  Enqueue(record, {v1::STATE_CHANGE_REASON_PREEMPTED, "preempted"}, now.steady, now);
  return absl::OkStatus();
}

absl::Status Update(JobRecord& record, const JobUpdate& update, absl::string_view etag,
                    const Moment& now) {
  if (auto same = CheckEtag(record, etag); !same.ok()) return same;
  v1::Job& job = record.job;
  const std::map<std::string, std::string> labels(job.labels().begin(), job.labels().end());
  const bool relabels = update.labels && *update.labels != labels;
  const bool moves = update.priority && *update.priority != PriorityOf(job);
  if (moves && job.state() != v1::JOB_STATE_PENDING) {
    return RpcError(absl::StatusCode::kFailedPrecondition, "JOB_NOT_WAITING",
                    absl::StrCat("the job is ", StateLabel(job.state()),
                                 "; only the priority of one that waits can be changed"),
                    {{"resource", job.name()}, {"state", v1::JobState_Name(job.state())}});
  }
  if (!relabels && !moves) return absl::OkStatus();
  if (relabels) {
    job.mutable_labels()->clear();
    job.mutable_labels()->insert(update.labels->begin(), update.labels->end());
  }
  if (moves) job.set_priority(*update.priority);
  Touch(record);
  v1::JobUpdate& updated = *AddEvent(record, now).mutable_updated();
  *updated.mutable_labels() = job.labels();
  updated.set_priority(PriorityOf(job));
  return absl::OkStatus();
}

absl::Status Cancel(JobRecord& record, absl::string_view etag, const Moment& now) {
  if (auto same = CheckEtag(record, etag); !same.ok()) return same;
  switch (record.job.state()) {
    case v1::JOB_STATE_PENDING:
      Finish(record, v1::JOB_STATE_CANCELLED, kCancelled, now);
      return absl::OkStatus();
    case v1::JOB_STATE_RUNNING:
      SetState(record, v1::JOB_STATE_CANCELLING, kCancelled, now);
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
      EnqueueAnew(record, {v1::STATE_CHANGE_REASON_RETRIED, "retried by the client"}, now);
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
  return RpcError(
      absl::StatusCode::kFailedPrecondition, "JOB_NOT_FINISHED",
      absl::StrCat("the job is ", StateLabel(record.job.state()),
                   "; only one that has ended can be deleted: cancel it first"),
      {{"resource", record.job.name()}, {"state", v1::JobState_Name(record.job.state())}});
}

void Expire(JobRecord& record, const RetryPolicy& policy, const Moment& now) {
  // Nobody may have known of the lease: its answer was lost. A job of which workers die before they
  // say a word is not tried for ever all the same.
  const bool unheard =
      !record.heard && record.job.attempt() < record.job.max_attempts() + policy.unheard_attempts;
  if (unheard && record.job.state() == v1::JOB_STATE_RUNNING) {
    record.attempt_time = now.steady;  // nobody is known to have worked
    return Enqueue(record,
                   {v1::STATE_CHANGE_REASON_WORKER_LOST,
                    "lease lost before its worker said a word: the attempt does not count"},
                   now.steady + policy.first_delay, now);
  }
  auto error = ToRpcStatus(RpcError(
      absl::StatusCode::kUnavailable, "WORKER_LOST",
      absl::StrCat("the worker was lost in attempt ", record.job.attempt(),
                   ": it sent no heartbeat until its lease ran out, and no attempts are left")));
  AfterFailure(record, error, true, {v1::STATE_CHANGE_REASON_WORKER_LOST, "lease lost"}, policy,
               now);
}

void TimeOut(JobRecord& record, const Moment& now) {
  const v1::Job& job = record.job;
  if (job.state() == v1::JOB_STATE_CANCELLING) {
    return Finish(record, v1::JOB_STATE_CANCELLED, kCancelled, now);
  }
  const auto deadline_exceeded = [](absl::string_view reason, const std::string& message) {
    return ToRpcStatus(RpcError(absl::StatusCode::kDeadlineExceeded, reason, message));
  };
  if (job.state() == v1::JOB_STATE_PENDING) {
    std::string message = absl::StrCat("no worker took the job within its max_queue_duration of ",
                                       absl::FormatDuration(FromProto(job.max_queue_duration())));
    if (const int revision = SpecRevisionOf(job); revision > 0) {
      absl::StrAppend(&message, "; its settings are for workers with a spec_revision of ", revision,
                      " or above");
    }
    *record.job.mutable_error() = deadline_exceeded("QUEUE_TIMEOUT", message);
    return Finish(record, v1::JOB_STATE_FAILED,
                  {v1::STATE_CHANGE_REASON_QUEUE_TIMEOUT, "waited too long"}, now);
  }
  *record.job.mutable_error() = deadline_exceeded(
      "EXECUTION_TIMEOUT", absl::StrCat("the job ran for longer than its execution_timeout of ",
                                        absl::FormatDuration(FromProto(job.execution_timeout()))));
  Finish(record, v1::JOB_STATE_FAILED, {v1::STATE_CHANGE_REASON_EXECUTION_TIMEOUT, "ran too long"},
         now);
}

}  // namespace likeness::server

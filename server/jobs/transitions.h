// Everything that can happen to a job, as functions of its record and a moment. A store loads a
// record, calls one of these, and commits the record together with its new events; it holds no rule
// of its own.
//
// Calls that carry a lease token return ABORTED (LEASE_LOST) unless it is the live lease's.
#pragma once

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "server/jobs/job_record.h"
#include "server/jobs/job_update.h"
#include "server/jobs/moment.h"
#include "server/jobs/policies/attempts.h"

namespace likeness::server {

// The reason of the error of an attempt that reported no progress for too long.
inline constexpr char kWorkerStalled[] = "WORKER_STALLED";

// What a request for work and its repetitions have in common; empty for one that is not repeated.
std::string RepeatableRequest(const v1::AcquireLeaseRequest& request);

// Whether a heartbeat brings anything that has to be written besides progress.
bool BringsMoreThanProgress(const v1::HeartbeatRequest& news);

// ABORTED (LEASE_LOST).
absl::Status LeaseLost();

// A fresh job becomes PENDING. record.job holds name, uid, warnings, and all that the client may
// say.
void Begin(JobRecord& record, const Moment& now);

// PENDING -> RUNNING under a new token.
void Lease(JobRecord& record, const std::string& token, const v1::AcquireLeaseRequest& request,
           const LeasePolicy& policy, const Moment& now);

// Prolongs the lease and records the worker's news. News with the number of earlier ones are a
// repetition: the answer to those was lost.
absl::Status Renew(JobRecord& record, const v1::HeartbeatRequest& news, const LeasePolicy& policy,
                   const Moment& now);

// RUNNING -> SUCCEEDED, CANCELLING -> CANCELLED. Repeating it is fine. A job that was asked to stop
// never succeeds: FAILED_PRECONDITION (JOB_CANCELLED), and the outputs are dropped.
struct Completion {
  absl::Status reply;    // what the worker is told
  bool changed = false;  // whether the record is to be committed
};
Completion Complete(JobRecord& record, const v1::CompleteLeaseRequest& outcome, const Moment& now);

// RUNNING -> PENDING or FAILED; CANCELLING -> CANCELLED. Repeating it is fine.
absl::Status Fail(JobRecord& record, const v1::FailLeaseRequest& failure, const RetryPolicy& policy,
                  const Moment& now);

// RUNNING -> PENDING without charging an attempt; CANCELLING -> CANCELLED. Confirming a
// cancellation that nobody asked for is FAILED_PRECONDITION (JOB_NOT_CANCELLING). Repeating it is
// fine.
absl::Status Release(JobRecord& record, const v1::ReleaseLeaseRequest& release, const Moment& now);

// Changes labels, or the priority of a job that waits: FAILED_PRECONDITION (JOB_NOT_WAITING) of
// another one; the etag as below. What is the same already is no change.
absl::Status Update(JobRecord& record, const JobUpdate& update, absl::string_view etag,
                    const Moment& now);

// PENDING -> CANCELLED, RUNNING -> CANCELLING. Repeating it is fine. A job that ended otherwise is
// FAILED_PRECONDITION (JOB_FINISHED); an etag that is not empty must match, else ABORTED
// (ETAG_MISMATCH).
absl::Status Cancel(JobRecord& record, absl::string_view etag, const Moment& now);

// FAILED, CANCELLED -> PENDING with all attempts again, from the last checkpoint unless its bytes
// are gone. A job that waits or runs stays as it is. FAILED_PRECONDITION: JOB_FINISHED,
// JOB_CANCELLING; the etag as above.
absl::Status Retry(JobRecord& record, absl::string_view etag, bool checkpoint_stored,
                   const Moment& now);

// Whether the job may be deleted: FAILED_PRECONDITION (JOB_NOT_FINISHED) unless it has ended; the
// etag as above.
absl::Status CheckDeletable(const JobRecord& record, absl::string_view etag);

// The lease ran out at `now` or before: as a retryable failure, which does not count where nobody
// may have known of the lease.
void Expire(JobRecord& record, const RetryPolicy& policy, const Moment& now);

// The record's deadline has come: PENDING -> FAILED (QUEUE_TIMEOUT), RUNNING -> FAILED
// (EXECUTION_TIMEOUT), CANCELLING -> CANCELLED. Whoever held the lease has lost it.
void TimeOut(JobRecord& record, const Moment& now);

}  // namespace likeness::server

#include "server/api/worker_service.h"

#include <optional>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/clock.h"
#include "common/logging.h"
#include "common/rpc_error.h"
#include "common/status_macros.h"
#include "common/trace.h"
#include "server/api/worker_checks.h"
#include "server/jobs/proto_time.h"
#include "server/jobs/transitions.h"

namespace likeness::server {

grpc::ServerUnaryReactor* WorkerServiceImpl::AcquireLease(grpc::CallbackServerContext* context,
                                                          const v1::AcquireLeaseRequest* request,
                                                          v1::AcquireLeaseResponse* reply) {
  auto attempt = [=, this, first = true](Caller& caller, bool) mutable -> absl::StatusOr<bool> {
    RETURN_IF_ERROR(CheckOffer(*request));
    RETURN_IF_ERROR(
        jobs_.OfferBaseModels({request->base_models().begin(), request->base_models().end()}));
    std::optional<v1::Lease> lease;
    // Only a new call can be the repetition of one whose answer was lost.
    if (std::exchange(first, false)) {
      ASSIGN_OR_RETURN(lease, jobs_.FindUnheardLease(request->worker()));
    }
    if (!lease) {
      ASSIGN_OR_RETURN(lease, jobs_.Acquire(*request));
    }
    if (!lease) return false;
    if (context->IsCancelled()) {  // nobody would work on it until the lease ran out
      v1::ReleaseLeaseRequest release;
      release.set_lease_token(lease->lease_token());
      release.set_reason(v1::RELEASE_REASON_PREEMPTED);
      RETURN_IF_ERROR(jobs_.Release(release));
      return true;
    }
    caller.resource = lease->job().name();
    const TraceScope scope(ParseTraceparent(lease->job().traceparent()));
    LogInfo("lease granted", {{"job", lease->job().name()},
                              {"worker", request->worker()},
                              {"attempt", lease->job().attempt()}});
    *reply->mutable_lease() = *std::move(lease);
    return true;
  };
  return front_.RespondWhenReady(
      context, "AcquireLease", *request,
      {FromProto(request->wait()), ChangeFeed::kPendingJobs, std::move(attempt)});
}

grpc::ServerUnaryReactor* WorkerServiceImpl::Heartbeat(grpc::CallbackServerContext* context,
                                                       const v1::HeartbeatRequest* request,
                                                       v1::HeartbeatResponse* reply) {
  return front_.Respond(context, "Heartbeat", *request, [=, this](const Caller&) -> absl::Status {
    ASSIGN_OR_RETURN(const LeasedJob leased, jobs_.FindLease(request->lease_token()));
    RETURN_IF_ERROR(CheckHeartbeat(*request, leased.name.tenant, blobs_));
    if (stalls_.Stalled(*request, SteadyNow())) {
      return EndStalled(*request, leased.name.ToString());
    }
    ASSIGN_OR_RETURN(const LeaseTerms terms, jobs_.Renew(*request));
    *reply->mutable_expire_time() = ToProto(terms.expire_time);
    reply->set_cancel_requested(terms.cancel_requested);
    return absl::OkStatus();
  });
}

absl::Status WorkerServiceImpl::EndStalled(const v1::HeartbeatRequest& heartbeat,
                                           const std::string& job) {
  v1::FailLeaseRequest failure;
  failure.set_lease_token(heartbeat.lease_token());
  *failure.mutable_error() = ToRpcStatus(
      RpcError(absl::StatusCode::kDeadlineExceeded, "WORKER_STALLED",
               absl::StrCat("the worker reported no progress for ",
                            absl::FormatDuration(stalls_.timeout()), ", though it was alive")));
  failure.set_retryable(true);
  RETURN_IF_ERROR(jobs_.Fail(failure));
  stalls_.Forget(heartbeat.lease_token());
  LogWarning("attempt ended: no progress", {{"job", job}});
  return LeaseLost();
}

grpc::ServerUnaryReactor* WorkerServiceImpl::CompleteLease(grpc::CallbackServerContext* context,
                                                           const v1::CompleteLeaseRequest* request,
                                                           v1::CompleteLeaseResponse*) {
  return front_.Respond(
      context, "CompleteLease", *request, [=, this](Caller& caller) -> absl::Status {
        ASSIGN_OR_RETURN(const LeasedJob leased, jobs_.FindLease(request->lease_token()));
        caller.resource = leased.name.ToString();
        RETURN_IF_ERROR(CheckOutcome(*request, leased.name.tenant, blobs_));
        stalls_.Forget(request->lease_token());
        return jobs_.Complete(*request);
      });
}

grpc::ServerUnaryReactor* WorkerServiceImpl::FailLease(grpc::CallbackServerContext* context,
                                                       const v1::FailLeaseRequest* request,
                                                       v1::FailLeaseResponse*) {
  return front_.Respond(context, "FailLease", *request, [=, this](Caller& caller) -> absl::Status {
    ASSIGN_OR_RETURN(const LeasedJob leased, jobs_.FindLease(request->lease_token()));
    caller.resource = leased.name.ToString();
    RETURN_IF_ERROR(CheckFailure(*request));
    stalls_.Forget(request->lease_token());
    return jobs_.Fail(*request);
  });
}

grpc::ServerUnaryReactor* WorkerServiceImpl::ReleaseLease(grpc::CallbackServerContext* context,
                                                          const v1::ReleaseLeaseRequest* request,
                                                          v1::ReleaseLeaseResponse*) {
  return front_.Respond(
      context, "ReleaseLease", *request, [=, this](Caller& caller) -> absl::Status {
        ASSIGN_OR_RETURN(const LeasedJob leased, jobs_.FindLease(request->lease_token()));
        caller.resource = leased.name.ToString();
        stalls_.Forget(request->lease_token());
        return jobs_.Release(*request);
      });
}

}  // namespace likeness::server

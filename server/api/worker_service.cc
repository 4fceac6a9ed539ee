#include "server/api/worker_service.h"

#include <algorithm>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/time/clock.h"
#include "common/clock.h"
#include "common/digest.h"
#include "common/logging.h"
#include "common/rpc_error.h"
#include "common/shorten.h"
#include "common/status_macros.h"
#include "common/trace.h"
#include "common/version.h"
#include "google/protobuf/io/coded_stream.h"
#include "google/protobuf/io/zero_copy_stream_impl_lite.h"
#include "server/api/worker_checks.h"
#include "server/jobs/proto_time.h"
#include "server/jobs/transitions.h"

namespace likeness::server {
namespace {

constexpr size_t kLongestKey = 1 << 10;
constexpr char kErasure[] = "erasure";  // the feature
constexpr int kErasedAtOnce = 100;      // models

// What decides which jobs the worker can run. Two workers of equal text can run the same.
std::string OfferOf(v1::AcquireLeaseRequest request) {
  request.clear_worker();
  request.clear_device();
  request.clear_wait();
  request.clear_resident_models();
  request.clear_instance();
  request.clear_request_id();
  request.clear_erasure_number();
  std::string bytes;
  {
    google::protobuf::io::StringOutputStream stream(&bytes);
    google::protobuf::io::CodedOutputStream coded(&stream);
    coded.SetSerializationDeterministic(true);  // the labels are a map
    request.SerializeToCodedStream(&coded);
  }
  return bytes.size() <= kLongestKey ? bytes : Sha256Hex(bytes);
}

void LogDropped(const LeasedJob& leased, const std::vector<std::string>& fields) {
  if (fields.empty()) return;
  LogWarning("measurements dropped: NaN or infinite",
             {{"job", leased.name.ToString()},
              {"worker", leased.worker},
              {"fields", Shorten(absl::StrJoin(fields, ", "), kLongestKey)}});
}

// Whether there are models that the worker has to erase first.
absl::StatusOr<bool> TellErased(JobStore& jobs, const v1::AcquireLeaseRequest& request,
                                v1::AcquireLeaseResponse& reply) {
  const auto& features = request.features();
  if (std::find(features.begin(), features.end(), kErasure) == features.end()) return false;
  ASSIGN_OR_RETURN(const auto erased, jobs.ErasedModels(request.erasure_number(), kErasedAtOnce));
  for (const ErasedModel& model : erased) {
    *reply.add_erased_models() = model.model;
    reply.set_erasure_number(model.number);
  }
  return !erased.empty();
}

}  // namespace

void WorkerServiceImpl::AddTo(MethodTable& methods) {
  const char* service = v1::WorkerService::service_full_name();
  constexpr Pool kPool = Pool::kWorkers;
  methods.AddLongPoll(service, "AcquireLease", this, &WorkerServiceImpl::AcquireLease, kPool);
  methods.AddUnary(service, "Heartbeat", this, &WorkerServiceImpl::Heartbeat, kPool);
  methods.AddUnary(service, "CompleteLease", this, &WorkerServiceImpl::CompleteLease, kPool);
  methods.AddUnary(service, "FailLease", this, &WorkerServiceImpl::FailLease, kPool);
  methods.AddUnary(service, "ReleaseLease", this, &WorkerServiceImpl::ReleaseLease, kPool);
}

LongPoll WorkerServiceImpl::AcquireLease(grpc::ServerContext* context,
                                         const v1::AcquireLeaseRequest* request,
                                         v1::AcquireLeaseResponse* reply) {
  LongPoll poll;
  poll.timeout = FromProto(request->wait());
  // A worker that gets no jobs waits for itself alone: none of those that offer the same may take
  // it for the one that looks.
  const bool was_drained = workers_.FindDrained(request->worker()).has_value();
  poll.offer = was_drained ? absl::StrCat("drained ", request->worker()) : OfferOf(*request);
  poll.attempt = [=, this, valid = CheckOffer(*request)](Caller& caller) -> absl::StatusOr<bool> {
    reply->set_server_version(Version());
    RETURN_IF_ERROR(valid);
    RETURN_IF_ERROR(
        jobs_.OfferBaseModels({request->base_models().begin(), request->base_models().end()}));
    workers_.Asked(*request, absl::Now());
    if (workers_.FindDrained(request->worker())) {
      reply->set_drained(true);
      return !was_drained;
    }
    reply->set_drained(false);
    ASSIGN_OR_RETURN(const bool erased, TellErased(jobs_, *request, *reply));
    if (erased) return true;
    ASSIGN_OR_RETURN(auto lease, jobs_.Acquire(*request));
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
                              {"lease", lease->lease_id()},
                              {"worker", request->worker()},
                              {"worker_version", request->version()},
                              {"attempt", lease->job().attempt()}});
    *reply->mutable_lease() = *std::move(lease);
    return true;
  };
  return poll;
}

absl::Status WorkerServiceImpl::Heartbeat(Caller&, const v1::HeartbeatRequest* request,
                                          v1::HeartbeatResponse* reply) {
  ASSIGN_OR_RETURN(const LeasedJob leased, jobs_.FindLease(request->lease_token()));
  RETURN_IF_ERROR(CheckHeartbeat(*request, leased.name.tenant, blobs_));
  if (stalls_.Stalled(*request, leased.stall_timeout, SteadyNow())) {
    return EndStalled(*request, leased);
  }
  v1::HeartbeatRequest finite;
  v1::Progress progress = request->progress();
  if (const auto dropped = DropNotFinite(progress); !dropped.empty()) {
    LogDropped(leased, dropped);
    finite = *request;
    *finite.mutable_progress() = std::move(progress);
    request = &finite;
  }
  ASSIGN_OR_RETURN(const LeaseTerms terms, jobs_.Renew(*request));
  *reply->mutable_expire_time() = ToProto(terms.expire_time);
  reply->set_cancel_requested(terms.cancel_requested);
  const auto device_of_job = [&]() -> std::string {
    const auto job = jobs_.Get(leased.name);
    return job.ok() ? job->device() : "";
  };
  workers_.Heard(leased.worker, device_of_job, absl::Now());
  const auto drained = workers_.FindDrained(leased.worker);
  reply->set_release_requested(drained && drained->release_job);
  return absl::OkStatus();
}

absl::Status WorkerServiceImpl::EndStalled(const v1::HeartbeatRequest& heartbeat,
                                           const LeasedJob& leased) {
  v1::FailLeaseRequest failure;
  failure.set_lease_token(heartbeat.lease_token());
  *failure.mutable_error() = ToRpcStatus(
      RpcError(absl::StatusCode::kDeadlineExceeded, kWorkerStalled,
               absl::StrCat("the worker reported no progress for ",
                            absl::FormatDuration(stalls_.TimeoutOf(leased.stall_timeout)),
                            ", though it was alive")));
  failure.set_retryable(true);
  RETURN_IF_ERROR(jobs_.Fail(failure));
  stalls_.Forget(heartbeat.lease_token());
  LogWarning("attempt ended: no progress", {{"job", leased.name.ToString()}});
  return LeaseLost();
}

absl::Status WorkerServiceImpl::CompleteLease(Caller& caller,
                                              const v1::CompleteLeaseRequest* request,
                                              v1::CompleteLeaseResponse*) {
  ASSIGN_OR_RETURN(const LeasedJob leased, jobs_.FindLease(request->lease_token()));
  caller.resource = leased.name.ToString();
  RETURN_IF_ERROR(CheckOutcome(*request, leased.name.tenant, blobs_));
  stalls_.Forget(request->lease_token());
  v1::CompleteLeaseRequest finite = *request;
  LogDropped(leased, DropNotFinite(*finite.mutable_metrics()));
  return jobs_.Complete(finite);
}

absl::Status WorkerServiceImpl::FailLease(Caller& caller, const v1::FailLeaseRequest* request,
                                          v1::FailLeaseResponse*) {
  ASSIGN_OR_RETURN(const LeasedJob leased, jobs_.FindLease(request->lease_token()));
  caller.resource = leased.name.ToString();
  RETURN_IF_ERROR(CheckFailure(*request));
  stalls_.Forget(request->lease_token());
  return jobs_.Fail(*request);
}

absl::Status WorkerServiceImpl::ReleaseLease(Caller& caller, const v1::ReleaseLeaseRequest* request,
                                             v1::ReleaseLeaseResponse*) {
  ASSIGN_OR_RETURN(const LeasedJob leased, jobs_.FindLease(request->lease_token()));
  caller.resource = leased.name.ToString();
  stalls_.Forget(request->lease_token());
  return jobs_.Release(*request);
}

}  // namespace likeness::server

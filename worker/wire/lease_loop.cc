#include "worker/wire/lease_loop.h"

#include <grpcpp/grpcpp.h>

#include <algorithm>
#include <optional>

#include "absl/strings/str_cat.h"
#include "common/clock.h"
#include "common/ids.h"
#include "common/job_spec.h"
#include "common/logging.h"
#include "common/rpc_error.h"
#include "common/shorten.h"
#include "common/status_macros.h"
#include "common/trace.h"
#include "common/utf8.h"
#include "common/version.h"
#include "common/worker_limits.h"
#include "worker/jobs/outputs.h"
#include "worker/support/guard.h"
#include "worker/wire/lease_environment.h"
#include "worker/wire/rpc_patience.h"

namespace likeness {
namespace {

constexpr absl::Duration kAcquireWait = absl::Seconds(20);
constexpr absl::Duration kCallLimit = absl::Seconds(10);

}  // namespace

LeaseLoop::LeaseLoop(std::shared_ptr<grpc::Channel> channel, LeaseLoopOptions options,
                     LeaseWork work, WorkerMetrics& metrics, Shutdown& shutdown)
    : channel_(std::move(channel)),
      stub_(v1::WorkerService::NewStub(channel_)),
      options_(std::move(options)),
      instance_(RandomUuid()),
      work_(std::move(work)),
      metrics_(metrics),
      shutdown_(shutdown) {}

void LeaseLoop::Run() {
  Backoff backoff;
  bool server_is_well = true;
  bool drained = false;
  std::string request_id = RandomUuid();
  while (!shutdown_.requested()) {
    const auto response = Acquire(request_id);
    // The answer may have been lost alone: what is asked again is the same.
    if (response.ok() || !ServerIsAway(response.status())) request_id = RandomUuid();
    if (response.ok()) {
      if (!server_is_well) LogInfo("server answers again");
      server_is_well = true;
      if (!Erase(*response)) {
        backoff.Pause([this] { return shutdown_.requested(); });
        continue;
      }
      backoff.Reset();
      if (drained != response->drained()) {
        drained = response->drained();
        LogInfo(drained ? "drained: no more jobs come" : "no longer drained");
      }
      if (response->has_lease()) Work(response->lease());
      continue;
    }
    if (shutdown_.requested()) return;
    metrics_.LeaseError();
    if (server_is_well) LogWarning("no lease", {{"error", response.status()}});
    server_is_well = false;
    backoff.Pause([this] { return shutdown_.requested(); });
  }
}

absl::StatusOr<v1::AcquireLeaseResponse> LeaseLoop::Acquire(const std::string& request_id) {
  v1::AcquireLeaseRequest request;
  request.set_request_id(request_id);
  request.set_instance(instance_);
  request.set_version(Version());
  request.set_worker(options_.worker);
  request.set_device(options_.device);
  request.set_device_memory_bytes(options_.device_memory_bytes);
  request.mutable_labels()->insert(options_.labels.begin(), options_.labels.end());
  work_.offer(request);
  if (work_.erase) request.add_features("erasure");
  request.set_erasure_number(erasure_number_);
  request.mutable_wait()->set_seconds(absl::ToInt64Seconds(kAcquireWait));
  MakeUtf8(request);  // models are named as their directories are

  grpc::ClientContext context;
  PrepareCall(context, kAcquireWait + kCallLimit);
  const Shutdown::Cancels cancels(shutdown_, context);
  v1::AcquireLeaseResponse response;
  RETURN_IF_ERROR(FromGrpcStatus(stub_->AcquireLease(&context, request, &response)));
  return response;
}

bool LeaseLoop::Erase(const v1::AcquireLeaseResponse& response) {
  if (response.erasure_number() == 0 || !work_.erase) return true;
  const absl::Status status = Guard([&] {
    for (const auto& model : response.erased_models()) work_.erase(model);
  });
  if (!status.ok()) {
    LogError("models not erased", {{"error", status}});
    return false;
  }
  LogInfo("models erased", {{"models", response.erased_models_size()}});
  erasure_number_ = response.erasure_number();
  return true;
}

void LeaseLoop::Work(const v1::Lease& lease) {
  const absl::Time start = SteadyNow();
  const auto created = ParseTraceparent(lease.job().traceparent());
  const TraceScope scope(created ? created->Child() : NewTrace());
  const LogScope of_job({{"job", lease.job().name()}});
  LogInfo("lease acquired", {{"job", lease.job().name()},
                             {"lease", lease.lease_id()},
                             {"attempt", lease.job().attempt()},
                             {"checkpoint_step", lease.checkpoint().step()}});
  std::string outcome;
  {
    LeaseKeeper keeper(*stub_, lease);
    BlobClient blobs(channel_, lease.lease_token());
    std::optional<LeaseEnvironment> environment;
    JobResult result;
    const absl::Status status = Guard([&] {
      environment.emplace(lease, keeper, blobs, metrics_, options_.scratch, shutdown_);
      result = work_.run(lease, *environment);
    });
    shutdown_.Extend();  // what was under way when the stop was requested is done
    // What was shown and saved counts, however the attempt ended.
    if (environment) environment->Flush();
    while (!keeper.Flush(absl::Seconds(1)) && !shutdown_.overdue()) {
    }
    outcome = End(lease, keeper, status, result);
  }
  metrics_.JobEnded(MethodOf(lease.job()), outcome);
  LogInfo("lease ended", {{"job", lease.job().name()},
                          {"lease", lease.lease_id()},
                          {"outcome", outcome},
                          {"seconds", absl::ToDoubleSeconds(SteadyNow() - start)}});
}

std::string LeaseLoop::End(const v1::Lease& lease, const LeaseKeeper& keeper,
                           const absl::Status& status, const JobResult& result) {
  if (keeper.lost()) return "lost";
  if (keeper.cancel_requested()) return Release(lease, v1::RELEASE_REASON_CANCELLED);
  if (status.ok()) return Complete(lease, result);
  // With the request to stop, transfers and waiting for the server end.
  if (shutdown_.requested() && (absl::IsCancelled(status) || ServerIsAway(status))) {
    return Release(lease, v1::RELEASE_REASON_PREEMPTED);
  }
  if (keeper.release_requested() && absl::IsCancelled(status)) {
    return Release(lease, v1::RELEASE_REASON_PREEMPTED);
  }
  return Fail(lease, status);
}

std::string LeaseLoop::Complete(const v1::Lease& lease, const JobResult& result) {
  v1::CompleteLeaseRequest request;
  request.set_lease_token(lease.lease_token());
  const absl::Status named = Guard([&] {
    for (const v1::Output& output : result.outputs) {
      *request.add_outputs() = output;
      request.mutable_outputs()->rbegin()->set_blob(BlobOfJob(lease.job(), output.blob()));
    }
  });
  if (!named.ok()) return Fail(lease, named);
  request.mutable_metrics()->insert(result.metrics.begin(), result.metrics.end());
  *request.mutable_resolved() = result.resolved;
  MakeUtf8(request);
  const absl::Status status =
      Tell(&v1::WorkerService::Stub::CompleteLease, request, v1::CompleteLeaseResponse());
  if (status.ok()) return "succeeded";
  LogWarning("completion refused", {{"job", lease.job().name()}, {"error", status}});
  if (absl::IsAborted(status)) return "lost";
  return ServerIsAway(status) ? "unknown" : Fail(lease, status);
}

std::string LeaseLoop::Fail(const v1::Lease& lease, const absl::Status& why) {
  LogError("job failed", {{"job", lease.job().name()}, {"error", why}});
  v1::FailLeaseRequest request;
  request.set_lease_token(lease.lease_token());
  *request.mutable_error() = ToRpcStatus(why);
  MakeUtf8(request);
  if (request.error().ByteSizeLong() > kMaxErrorBytes) {
    request.mutable_error()->clear_details();
    request.mutable_error()->set_message(Shorten(request.error().message(), kMaxErrorBytes / 2));
  }
  request.set_retryable(IsRetryable(why));
  const absl::Status status =
      Tell(&v1::WorkerService::Stub::FailLease, request, v1::FailLeaseResponse());
  return absl::IsAborted(status) ? "lost" : "failed";
}

std::string LeaseLoop::Release(const v1::Lease& lease, v1::ReleaseReason reason) {
  v1::ReleaseLeaseRequest request;
  request.set_lease_token(lease.lease_token());
  request.set_reason(reason);
  const absl::Status status =
      Tell(&v1::WorkerService::Stub::ReleaseLease, request, v1::ReleaseLeaseResponse());
  if (absl::IsAborted(status)) return "lost";
  return reason == v1::RELEASE_REASON_CANCELLED ? "cancelled" : "preempted";
}

template <typename Method, typename Request, typename Response>
absl::Status LeaseLoop::Tell(Method method, const Request& request, Response response) {
  return CallPatiently(
      [&] {
        grpc::ClientContext context;
        PrepareCall(context, kCallLimit);
        return FromGrpcStatus((stub_.get()->*method)(&context, request, &response));
      },
      [this] { return shutdown_.overdue(); });
}

}  // namespace likeness

// A worker that speaks the worker protocol and does as the test tells it.
#pragma once

#include <memory>
#include <string>
#include <utility>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "google/bytestream/bytestream.grpc.pb.h"
#include "grpcpp/channel.h"
#include "likeness/v1/worker_service.grpc.pb.h"

namespace likeness::testing {

class FakeWorker {
 public:
  // Without a name it gets one that no other has.
  explicit FakeWorker(std::shared_ptr<grpc::Channel> channel, std::string name = UniqueName());

  // Under what AcquireLease is asked from now on, so that it can be repeated.
  void set_request_id(std::string id) { request_id_ = std::move(id); }

  // What it offers: baseModels/mini, every method and sampler.
  v1::AcquireLeaseRequest Offer(absl::Duration wait = absl::ZeroDuration()) const;

  // NOT_FOUND when no job came in time.
  absl::StatusOr<v1::Lease> Acquire(absl::Duration wait = absl::Seconds(10));
  absl::StatusOr<v1::HeartbeatResponse> Heartbeat(const v1::HeartbeatRequest& news);
  // A heartbeat with so many steps done.
  absl::StatusOr<v1::HeartbeatResponse> Report(const std::string& lease_token, int64_t step);
  absl::Status Complete(const v1::CompleteLeaseRequest& outcome);
  absl::Status Complete(const std::string& lease_token);  // without outputs
  absl::Status Fail(const std::string& lease_token, bool retryable);
  absl::Status Release(const std::string& lease_token, v1::ReleaseReason reason);

  // Stores bytes; returns the blob's name.
  absl::StatusOr<std::string> Upload(const std::string& bytes);

 private:
  static std::string UniqueName();

  const std::string name_;
  std::string request_id_;
  std::unique_ptr<v1::WorkerService::Stub> stub_;
  std::unique_ptr<google::bytestream::ByteStream::Stub> bytes_;
};

}  // namespace likeness::testing

// grpc.health.v1.Health, for whoever asks: "" is whether the server takes new work, "liveness"
// whether it is alive.
#pragma once

#include <list>
#include <mutex>
#include <string>

#include "absl/base/thread_annotations.h"
#include "grpc/health/v1/health.pb.h"
#include "server/api/method_table.h"
#include "server/api/open_calls.h"

namespace likeness::server {

// Thread-safe.
class HealthService {
 public:
  // Must outlive the calls.
  explicit HealthService(OpenCalls& open_calls) : open_calls_(open_calls) {}

  void AddTo(MethodTable& methods);

  // What "" is; watchers are told.
  void SetReady(bool ready);

 private:
  using Status = grpc::health::v1::HealthCheckResponse::ServingStatus;
  class CheckCall;
  class WatchCall;

  Status StatusOf(const std::string& service) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  OpenCalls& open_calls_;
  std::mutex mutex_;
  bool ready_ ABSL_GUARDED_BY(mutex_) = true;
  std::list<WatchCall*> watchers_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace likeness::server

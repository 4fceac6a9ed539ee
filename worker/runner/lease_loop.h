// Pulls jobs from the server, one at a time, and works on them until the process is asked to stop.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "likeness/v1/worker_service.grpc.pb.h"
#include "worker/runner/blob_client.h"
#include "worker/runner/lease_keeper.h"
#include "worker/runner/run_job.h"
#include "worker/runner/shutdown.h"
#include "worker/runner/worker_metrics.h"

namespace likeness {

struct LeaseLoopOptions {
  std::string worker;  // this worker's name, for logs
  std::string device;  // "cpu", "cuda:0"
  int64_t device_memory_bytes = 0;
  std::map<std::string, std::string> labels;  // that jobs may require
  std::vector<std::string> samplers;
  std::filesystem::path scratch;
};

class LeaseLoop {
 public:
  LeaseLoop(std::shared_ptr<grpc::Channel> channel, LeaseLoopOptions options, Workshop& workshop,
            WorkerMetrics& metrics, Shutdown& shutdown);

  // Returns once a stop is requested; a job that runs is checkpointed and given back first.
  void Run();

 private:
  absl::StatusOr<v1::AcquireLeaseResponse> Acquire();
  void Work(const v1::Lease& lease);
  // Tells the server how the attempt ended; returns that as a word for logs and metrics.
  std::string End(const v1::Lease& lease, const LeaseKeeper& keeper, const absl::Status& status,
                  const JobResult& result);
  std::string Complete(const v1::Lease& lease, const JobResult& result);
  std::string Fail(const v1::Lease& lease, const absl::Status& why);
  std::string Release(const v1::Lease& lease, v1::ReleaseReason reason);

  // Calls a method under a lease until the server answers; a worker that is asked to stop does not
  // wait for ever.
  template <typename Method, typename Request, typename Response>
  absl::Status Tell(Method method, const Request& request, Response response);

  const std::shared_ptr<grpc::Channel> channel_;
  std::unique_ptr<v1::WorkerService::Stub> stub_;
  LeaseLoopOptions options_;
  Workshop& workshop_;
  WorkerMetrics& metrics_;
  Shutdown& shutdown_;
};

}  // namespace likeness

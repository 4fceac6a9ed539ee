// Pulls jobs from the server, one at a time, and works on them until the process is asked to stop.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <string>

#include "likeness/v1/worker_service.grpc.pb.h"
#include "worker/jobs/job_environment.h"
#include "worker/jobs/job_result.h"
#include "worker/wire/blob_client.h"
#include "worker/wire/lease_keeper.h"
#include "worker/wire/shutdown.h"
#include "worker/wire/worker_metrics.h"

namespace likeness {

struct LeaseLoopOptions {
  std::string worker;  // this worker's name, for logs
  std::string device;  // "cpu", "cuda:0"
  int64_t device_memory_bytes = 0;
  std::map<std::string, std::string> labels;  // that jobs may require
  std::filesystem::path scratch;
};

// What is done with the leases. All are called from the thread of LeaseLoop::Run.
struct LeaseWork {
  // Adds base models, those in memory, methods and samplers to a call for a lease.
  std::function<void(v1::AcquireLeaseRequest& offer)> offer;
  // Throws what guard.h knows.
  std::function<JobResult(const v1::Lease& lease, JobEnvironment& environment)> run;
  // Erases this worker's copies of a model; where there is none, no worker keeps any. Throws
  // likewise.
  std::function<void(const v1::LeasedModel& model)> erase = {};
};

class LeaseLoop {
 public:
  LeaseLoop(std::shared_ptr<grpc::Channel> channel, LeaseLoopOptions options, LeaseWork work,
            WorkerMetrics& metrics, Shutdown& shutdown);

  // Returns once a stop is requested; a job that runs is checkpointed and given back first.
  void Run();

 private:
  absl::StatusOr<v1::AcquireLeaseResponse> Acquire(const std::string& request_id);
  // Whether all are erased; what is not is erased with the next call.
  bool Erase(const v1::AcquireLeaseResponse& response);
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
  const std::string instance_;  // of this run of the program
  LeaseWork work_;
  int64_t erasure_number_ = 0;  // as far as models are erased
  WorkerMetrics& metrics_;
  Shutdown& shutdown_;
};

}  // namespace likeness

// likeness.v1.WorkerService.
#pragma once

#include <string>

#include "likeness/v1/worker_service.grpc.pb.h"
#include "server/api/method_table.h"
#include "server/api/stall_watch.h"
#include "server/api/worker_registry.h"
#include "server/blobs/blob_store.h"
#include "server/jobs/job_store.h"

namespace likeness::server {

class WorkerServiceImpl {
 public:
  // All must outlive this. An attempt that reports nothing new for `stall_timeout` is ended.
  WorkerServiceImpl(JobStore& jobs, BlobStore& blobs, WorkerRegistry& workers,
                    absl::Duration stall_timeout)
      : jobs_(jobs), blobs_(blobs), workers_(workers), stalls_(stall_timeout) {}

  void AddTo(MethodTable& methods);

 private:
  LongPoll AcquireLease(grpc::ServerContext* context, const v1::AcquireLeaseRequest* request,
                        v1::AcquireLeaseResponse* reply);
  absl::Status Heartbeat(Caller& caller, const v1::HeartbeatRequest* request,
                         v1::HeartbeatResponse* reply);
  absl::Status CompleteLease(Caller& caller, const v1::CompleteLeaseRequest* request,
                             v1::CompleteLeaseResponse* reply);
  absl::Status FailLease(Caller& caller, const v1::FailLeaseRequest* request,
                         v1::FailLeaseResponse* reply);
  absl::Status ReleaseLease(Caller& caller, const v1::ReleaseLeaseRequest* request,
                            v1::ReleaseLeaseResponse* reply);
  // As a lost lease: the failure counts, the job is tried again.
  absl::Status EndStalled(const v1::HeartbeatRequest& heartbeat, const LeasedJob& leased);

  JobStore& jobs_;
  BlobStore& blobs_;
  WorkerRegistry& workers_;
  StallWatch stalls_;
};

}  // namespace likeness::server

// likeness.v1.WorkerService.
#pragma once

#include "likeness/v1/worker_service.grpc.pb.h"
#include "server/api/front.h"
#include "server/api/stall_watch.h"
#include "server/blobs/blob_store.h"
#include "server/jobs/job_store.h"

namespace likeness::server {

class WorkerServiceImpl final : public v1::WorkerService::CallbackService {
 public:
  // All must outlive this. An attempt that reports nothing new for `stall_timeout` is ended.
  WorkerServiceImpl(Front& front, JobStore& jobs, BlobStore& blobs, absl::Duration stall_timeout)
      : front_(front), jobs_(jobs), blobs_(blobs), stalls_(stall_timeout) {}

  grpc::ServerUnaryReactor* AcquireLease(grpc::CallbackServerContext* context,
                                         const v1::AcquireLeaseRequest* request,
                                         v1::AcquireLeaseResponse* reply) override;
  grpc::ServerUnaryReactor* Heartbeat(grpc::CallbackServerContext* context,
                                      const v1::HeartbeatRequest* request,
                                      v1::HeartbeatResponse* reply) override;
  grpc::ServerUnaryReactor* CompleteLease(grpc::CallbackServerContext* context,
                                          const v1::CompleteLeaseRequest* request,
                                          v1::CompleteLeaseResponse* reply) override;
  grpc::ServerUnaryReactor* FailLease(grpc::CallbackServerContext* context,
                                      const v1::FailLeaseRequest* request,
                                      v1::FailLeaseResponse* reply) override;
  grpc::ServerUnaryReactor* ReleaseLease(grpc::CallbackServerContext* context,
                                         const v1::ReleaseLeaseRequest* request,
                                         v1::ReleaseLeaseResponse* reply) override;

 private:
  // As a lost lease: the failure counts, the job is tried again.
  absl::Status EndStalled(const v1::HeartbeatRequest& heartbeat, const std::string& job);

  Front& front_;
  JobStore& jobs_;
  BlobStore& blobs_;
  StallWatch stalls_;
};

}  // namespace likeness::server

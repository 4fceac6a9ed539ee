// likeness.v1.OperatorService.
#pragma once

#include "likeness/v1/operator_service.grpc.pb.h"
#include "server/api/method_table.h"
#include "server/api/signed_token.h"
#include "server/api/worker_registry.h"
#include "server/blobs/blob_store.h"
#include "server/jobs/job_store.h"

namespace likeness::server {

class OperatorServiceImpl {
 public:
  // All must outlive this.
  OperatorServiceImpl(JobStore& jobs, const BlobStore& blobs, WorkerRegistry& workers)
      : jobs_(jobs), blobs_(blobs), workers_(workers), signer_(jobs.signing_key()) {}

  void AddTo(MethodTable& methods);

 private:
  absl::Status ListWorkers(Caller& caller, const v1::ListWorkersRequest* request,
                           v1::ListWorkersResponse* reply);
  absl::Status DrainWorker(Caller& caller, const v1::DrainWorkerRequest* request,
                           v1::DrainWorkerResponse* reply);
  absl::Status UndrainWorker(Caller& caller, const v1::UndrainWorkerRequest* request,
                             v1::UndrainWorkerResponse* reply);
  absl::Status GetQueue(Caller& caller, const v1::GetQueueRequest* request,
                        v1::GetQueueResponse* reply);
  absl::Status GetUsage(Caller& caller, const v1::GetUsageRequest* request,
                        v1::GetUsageResponse* reply);

  JobStore& jobs_;
  const BlobStore& blobs_;
  WorkerRegistry& workers_;
  const TokenSigner signer_;
};

}  // namespace likeness::server

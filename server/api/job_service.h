// likeness.v1.JobService.
#pragma once

#include "likeness/v1/job_service.grpc.pb.h"
#include "server/api/front.h"
#include "server/api/signed_token.h"
#include "server/blobs/blob_store.h"
#include "server/jobs/admission.h"
#include "server/jobs/job_store.h"

namespace likeness::server {

class JobServiceImpl final : public v1::JobService::CallbackService {
 public:
  // All must outlive this.
  JobServiceImpl(Front& front, JobStore& jobs, BlobStore& blobs, Admission& admission)
      : front_(front),
        jobs_(jobs),
        blobs_(blobs),
        admission_(admission),
        signer_(jobs.signing_key()) {}

  grpc::ServerUnaryReactor* CreateJob(grpc::CallbackServerContext* context,
                                      const v1::CreateJobRequest* request, v1::Job* reply) override;
  grpc::ServerUnaryReactor* GetJob(grpc::CallbackServerContext* context,
                                   const v1::GetJobRequest* request, v1::Job* reply) override;
  grpc::ServerUnaryReactor* ListJobs(grpc::CallbackServerContext* context,
                                     const v1::ListJobsRequest* request,
                                     v1::ListJobsResponse* reply) override;
  grpc::ServerUnaryReactor* CancelJob(grpc::CallbackServerContext* context,
                                      const v1::CancelJobRequest* request, v1::Job* reply) override;
  grpc::ServerUnaryReactor* RetryJob(grpc::CallbackServerContext* context,
                                     const v1::RetryJobRequest* request, v1::Job* reply) override;
  grpc::ServerUnaryReactor* DeleteJob(grpc::CallbackServerContext* context,
                                      const v1::DeleteJobRequest* request,
                                      google::protobuf::Empty* reply) override;
  grpc::ServerUnaryReactor* WaitJob(grpc::CallbackServerContext* context,
                                    const v1::WaitJobRequest* request, v1::Job* reply) override;
  grpc::ServerWriteReactor<v1::JobEvent>* WatchJob(grpc::CallbackServerContext* context,
                                                   const v1::WatchJobRequest* request) override;
  grpc::ServerWriteReactor<v1::GenerateImagesResponse>* GenerateImages(
      grpc::CallbackServerContext* context, const v1::GenerateImagesRequest* request) override;

 private:
  Front& front_;
  JobStore& jobs_;
  BlobStore& blobs_;
  Admission& admission_;
  const TokenSigner signer_;
};

}  // namespace likeness::server

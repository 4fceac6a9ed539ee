// likeness.v1.JobService.
#pragma once

#include "likeness/v1/job_service.grpc.pb.h"
#include "server/api/front.h"
#include "server/api/method_table.h"
#include "server/api/signed_token.h"
#include "server/blobs/blob_store.h"
#include "server/jobs/admission.h"
#include "server/jobs/change_log.h"
#include "server/jobs/job_store.h"

namespace likeness::server {

class JobServiceImpl {
 public:
  // All must outlive this.
  JobServiceImpl(Front& front, JobStore& jobs, BlobStore& blobs, Admission& admission,
                 const ChangeLog& changes)
      : front_(front),
        jobs_(jobs),
        blobs_(blobs),
        admission_(admission),
        changes_(changes),
        signer_(jobs.signing_key()) {}

  void AddTo(MethodTable& methods);

 private:
  absl::Status CreateJob(Caller& caller, const v1::CreateJobRequest* request, v1::Job* reply);
  absl::Status GetJob(Caller& caller, const v1::GetJobRequest* request, v1::Job* reply);
  absl::Status ListJobs(Caller& caller, const v1::ListJobsRequest* request,
                        v1::ListJobsResponse* reply);
  absl::Status UpdateJob(Caller& caller, const v1::UpdateJobRequest* request, v1::Job* reply);
  absl::Status CancelJobs(Caller& caller, const v1::CancelJobsRequest* request,
                          v1::CancelJobsResponse* reply);
  absl::Status DeleteJobs(Caller& caller, const v1::DeleteJobsRequest* request,
                          v1::DeleteJobsResponse* reply);
  absl::Status ListJobEvents(Caller& caller, const v1::ListJobEventsRequest* request,
                             v1::ListJobEventsResponse* reply);
  absl::Status CancelJob(Caller& caller, const v1::CancelJobRequest* request, v1::Job* reply);
  absl::Status RetryJob(Caller& caller, const v1::RetryJobRequest* request, v1::Job* reply);
  absl::Status EraseJob(Caller& caller, const v1::EraseJobRequest* request, v1::Erasure* reply);
  absl::Status DeleteJob(Caller& caller, const v1::DeleteJobRequest* request,
                         google::protobuf::Empty* reply);
  LongPoll WaitJob(grpc::ServerContext* context, const v1::WaitJobRequest* request, v1::Job* reply);
  absl::StatusOr<std::unique_ptr<StreamSource<v1::JobEvent>>> WatchJob(
      Caller& caller, const v1::WatchJobRequest* request, std::function<void()> wake);
  absl::StatusOr<std::unique_ptr<StreamSource<v1::JobEvent>>> WatchJobs(
      Caller& caller, const v1::WatchJobsRequest* request, std::function<void()> wake);
  absl::StatusOr<std::unique_ptr<StreamSource<v1::GenerateImagesResponse>>> GenerateImages(
      Caller& caller, const v1::GenerateImagesRequest* request, std::function<void()> wake);

  Front& front_;
  JobStore& jobs_;
  BlobStore& blobs_;
  Admission& admission_;
  const ChangeLog& changes_;
  const TokenSigner signer_;
};

}  // namespace likeness::server

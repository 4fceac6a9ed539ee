#include "tests/support/job_calls.h"

#include "common/rpc_error.h"

namespace likeness::testing {

absl::StatusOr<v1::Job> CreateJob(v1::JobService::Stub& jobs, const v1::CreateJobRequest& request,
                                  bool waits) {
  grpc::ClientContext context;
  context.set_wait_for_ready(waits);
  v1::Job job;
  const auto status = FromGrpcStatus(jobs.CreateJob(&context, request, &job));
  if (!status.ok()) return status;
  return job;
}

absl::StatusOr<v1::Job> GetJob(v1::JobService::Stub& jobs, const std::string& name, bool waits) {
  grpc::ClientContext context;
  context.set_wait_for_ready(waits);
  v1::GetJobRequest request;
  request.set_name(name);
  v1::Job job;
  const auto status = FromGrpcStatus(jobs.GetJob(&context, request, &job));
  if (!status.ok()) return status;
  return job;
}

absl::Status CancelJob(v1::JobService::Stub& jobs, const std::string& name) {
  grpc::ClientContext context;
  v1::CancelJobRequest request;
  request.set_name(name);
  v1::Job job;
  return FromGrpcStatus(jobs.CancelJob(&context, request, &job));
}

}  // namespace likeness::testing

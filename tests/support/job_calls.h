// Calls about a job, each with a context of its own.
#pragma once

#include <string>

#include "absl/status/statusor.h"
#include "likeness/v1/job_service.grpc.pb.h"

namespace likeness::testing {

// `waits`: for a server that has just begun; else one that does not listen is UNAVAILABLE.
absl::StatusOr<v1::Job> CreateJob(v1::JobService::Stub& jobs, const v1::CreateJobRequest& request,
                                  bool waits = false);
absl::StatusOr<v1::Job> GetJob(v1::JobService::Stub& jobs, const std::string& name,
                               bool waits = false);
absl::Status CancelJob(v1::JobService::Stub& jobs, const std::string& name);

}  // namespace likeness::testing

// What the work of a job would take, for requests that only ask.
#pragma once

#include "absl/status/status.h"
#include "server/jobs/job_store.h"

namespace likeness::server {

// Adds job.estimates, one for each device that was measured with the job's base model and method;
// none where the base model is not offered. The job's names are looked up.
absl::Status AddEstimates(JobStore& jobs, v1::Job& job);

}  // namespace likeness::server

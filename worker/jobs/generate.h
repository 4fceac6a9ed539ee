// A generate job: pictures from a base model or a personalized one.
#pragma once

#include <string>
#include <vector>

#include "worker/jobs/run_job.h"

namespace likeness {

// lease.job has a generate spec. Throws as RunJob.
JobResult Generate(const v1::Lease& lease, JobEnvironment& environment, Workshop& workshop);

// What jobs may name as their sampler.
std::vector<std::string> SupportedSamplers();

}  // namespace likeness

// A fine-tune job: photos in, a personalized model and its pictures out.
#pragma once

#include "worker/jobs/run_job.h"

namespace likeness {

// lease.job has a fine_tune spec. Throws as RunJob.
JobResult FineTune(const v1::Lease& lease, JobEnvironment& environment, Workshop& workshop);

}  // namespace likeness

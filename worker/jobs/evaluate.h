// An evaluate job: pictures from a personalized model, judged.
#pragma once

#include "worker/jobs/run_job.h"

namespace likeness {

// lease.job has an evaluate spec. Throws as RunJob.
JobResult Evaluate(const v1::Lease& lease, JobEnvironment& environment, Workshop& workshop);

}  // namespace likeness

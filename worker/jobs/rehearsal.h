// Jobs without a model, so that a program that uses the service can be tested without a GPU: the
// photos are fetched and checked, the settings resolved, and every phase reported as in earnest,
// within about two seconds; the pictures are stand-ins, and the model is its card alone. Draws with
// models that were rehearsed and with others alike.
#pragma once

#include "likeness/v1/worker_service.pb.h"
#include "worker/jobs/job_environment.h"
#include "worker/jobs/job_result.h"
#include "worker/jobs/rehearsal_models.h"

namespace likeness {

// Throws as RunJob.
JobResult RehearseJob(const v1::Lease& lease, JobEnvironment& environment,
                      const RehearsalModels& models);

}  // namespace likeness

// The personalized models that a lease names.
#pragma once

#include <string>
#include <vector>

#include "likeness/v1/worker_service.pb.h"
#include "worker/catalog/model_store.h"
#include "worker/jobs/card_facts.h"
#include "worker/jobs/job_environment.h"
#include "worker/jobs/phases.h"
#include "worker/jobs/picture_settings.h"
#include "worker/jobs/run_job.h"

namespace likeness {

// A personalized model in the worker's store.
struct FetchedModel {
  std::string name;
  StoredModel stored;
  CardFacts card;
  RecordedModel recorded;
};

// All of the lease's, in its order. Throws Error(kFailedPrecondition) for one that was only
// rehearsed, and what the environment throws.
std::vector<FetchedModel> FetchModels(const v1::Lease& lease, JobEnvironment& environment,
                                      Phases& phases, Workshop& workshop);

}  // namespace likeness

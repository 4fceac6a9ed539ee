// The model that a job draws with: a base model or a personalized one, and adapters over it.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "likeness/v1/worker_service.pb.h"
#include "worker/catalog/model_facts.h"
#include "worker/families/family.h"
#include "worker/jobs/job_environment.h"
#include "worker/jobs/phases.h"
#include "worker/jobs/prompts.h"
#include "worker/jobs/run_job.h"
#include "worker/methods/method.h"

namespace likeness {

// The model that draws, wherever it comes from, and what lies over it.
struct DrawingModel {
  Family& model;
  ModelFacts facts;
  PromptWords words;
  std::vector<std::unique_ptr<AppliedAdapter>> adapters = {};
  std::string base_digest = {};  // of the base model that it is, or was made from
};

// Of a generate or an evaluate job: fetched, loaded, with its adapters laid over it. Throws as
// RunJob.
DrawingModel DrawingModelOf(const v1::Lease& lease, JobEnvironment& environment, Phases& phases,
                            Workshop& workshop);

}  // namespace likeness

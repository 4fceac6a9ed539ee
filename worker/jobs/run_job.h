// A job from its spec to its outputs, whatever its kind.
#pragma once

#include <filesystem>
#include <vector>

#include "likeness/v1/worker_service.pb.h"
#include "worker/catalog/model_catalog.h"
#include "worker/catalog/model_store.h"
#include "worker/catalog/warm_base.h"
#include "worker/evaluation/evaluator_files.h"
#include "worker/evaluation/warm_evaluators.h"
#include "worker/jobs/job_environment.h"
#include "worker/jobs/job_result.h"

namespace likeness {

// What the jobs of one worker share.
struct Workshop {
  ModelCatalog catalog;
  ModelStore store;
  WarmBase warm;
  std::filesystem::path class_image_cache;
  int64_t cache_bytes;  // of class pictures
  std::vector<EvaluatorFiles> evaluators = {};
  WarmEvaluators judges{torch::kCPU};  // of these
  WarmEvaluators safety_checkers{torch::kCPU};
};

// lease.job with photos as blobs; lease.checkpoint and lease.model_files where there are any.
// Throws what guard.h knows, Error(kCancelled) when the environment asked to stop.
JobResult RunJob(const v1::Lease& lease, JobEnvironment& environment, Workshop& workshop);

}  // namespace likeness

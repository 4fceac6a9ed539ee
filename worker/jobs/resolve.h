// Fills every default of a spec: what the job says wins over what the base model recommends
// (catalog/model_defaults.h), which wins over the method's published values (the comments of the
// contract). Resolving a resolved spec changes nothing.
#pragma once

#include "likeness/v1/job.pb.h"
#include "likeness/v1/model.pb.h"
#include "worker/catalog/model_facts.h"

namespace likeness {

// Adds to what is offered the settings of jobs that say none: all defaults, with what the model
// recommends over them. What only other models have is not set.
void AddDefaults(const ModelFacts& model, v1::BaseModel& offer);

// Leaves out the settings of the other methods where the offer would be larger than servers of
// before them take (4 KiB): they would refuse the worker for it.
void FitOffer(v1::BaseModel& offer);

// Seeds that nobody drew yet are drawn here.
v1::ResolvedSpec ResolveFineTune(const v1::FineTuneSpec& spec, const ModelFacts& model);
v1::ResolvedSpec ResolveEvaluate(const v1::EvaluateSpec& spec, const ModelFacts& model);
v1::ResolvedSpec ResolveGenerate(const v1::GenerateSpec& spec, const ModelFacts& model);

}  // namespace likeness

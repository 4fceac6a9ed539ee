// Fills every default of a spec: what the job says wins over what the base model recommends
// (model_defaults.h), which wins over the method's published values (the comments of the contract).
// Resolving a resolved spec changes nothing.
#pragma once

#include <string>

#include "likeness/v1/job.pb.h"
#include "worker/runner/model_defaults.h"

namespace likeness {

// What a resolved spec needs to know of the model that is used.
struct ModelFacts {
  std::string name;    // models/{model} or tenants/{tenant}/models/{model}
  std::string digest;  // SHA-256 over its files
  int image_size = 0;  // pixels
  ModelDefaults defaults;
};

// Seeds that nobody drew yet are drawn here.
v1::ResolvedSpec ResolveFineTune(const v1::FineTuneSpec& spec, const ModelFacts& model);
v1::ResolvedSpec ResolveGenerate(const v1::GenerateSpec& spec, const ModelFacts& model);

}  // namespace likeness

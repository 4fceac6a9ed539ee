#pragma once

#include <string>

#include "worker/catalog/model_defaults.h"

namespace likeness {

// What a job needs to know of the model that it uses, before it is loaded.
struct ModelFacts {
  std::string name;    // baseModels/{base_model} or tenants/{tenant}/models/{model}
  std::string digest;  // SHA-256 over its files
  int image_size = 0;  // pixels
  // That its scheduler file was written for; empty if that is none of ours.
  std::string sampler = {};
  bool micro_conditioning = false;  // the network is told sizes and crops
  ModelDefaults defaults;
};

}  // namespace likeness

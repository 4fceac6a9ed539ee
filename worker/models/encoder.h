// What transformers' encoders of text and pictures have in common.
#pragma once

#include <torch/torch.h>

#include "worker/base/io/config_reader.h"
#include "worker/nn/activation.h"
#include "worker/nn/layers.h"

namespace likeness {

// float32, normally distributed around 0; left as it is where weights are to be loaded.
inline torch::Tensor DrawnParameter(torch::IntArrayRef shape, double deviation) {
  auto parameter = torch::empty(shape, torch::kFloat32);
  return SkipInitialization::Active() ? parameter : parameter.normal_(0, deviation);
}

// Refuses what no encoder of ours computes. `reader`: of the config.json that the options are from.
template <typename Options>
void CheckEncoder(ConfigReader& reader, const Options& options) {
  if (FindActivation(options.hidden_act) == nullptr) {
    reader.Refuse("hidden_act", "is not supported; it may be " + AllowedActivations());
  }
  if (options.hidden_size % options.num_attention_heads != 0) {
    reader.Refuse("num_attention_heads", "does not divide hidden_size");
  }
}

template <typename Options>
void CheckVisionEncoder(ConfigReader& reader, const Options& options) {
  CheckEncoder(reader, options);
  if (options.image_size % options.patch_size != 0) {
    reader.Refuse("patch_size", "does not divide image_size");
  }
}

}  // namespace likeness

// What a method is told of a job.
#pragma once

#include <torch/torch.h>

#include <cstdint>
#include <optional>
#include <vector>

#include "worker/training/fine_tune_options.h"
#include "worker/training/hypernetwork_options.h"
#include "worker/training/lora_options.h"
#include "worker/training/textual_inversion_options.h"

namespace likeness {

struct MethodSpec {
  double learning_rate = 0;
  std::optional<double> text_encoder_learning_rate = {};  // empty: text encoders are not trained
  torch::ScalarType compute = torch::kFloat32;            // or bfloat16 or float16
  // What is trained: float32, or bfloat16 where that is computed in, of DreamBooth alone.
  torch::ScalarType masters = torch::kFloat32;
  uint32_t seed = 0;  // of what begins at random
  // Of the methods that are called so, and of those that are made of them.
  LoraOptions lora = {};
  std::vector<TextualInversionOptions> words = {};  // of the subjects, in their order
  HypernetworkOptions hypernetwork = {};
  double vectors_learning_rate = 0;  // of a word that is trained beside an update
  bool train_token = true;           // Custom Diffusion: the token as a word of its own
};

MethodSpec MethodSpecOf(const FineTuneOptions& options);

}  // namespace likeness

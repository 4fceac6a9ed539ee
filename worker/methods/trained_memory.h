// What a method trains, in numbers (worker/methods/training_memory.h counts what they take).
#pragma once

#include <torch/torch.h>

#include <cstdint>

namespace likeness {

struct TrainedMemory {
  int64_t trained = 0;
  int64_t held = 0;            // float32, as long as it is attached
  int64_t weight_changes = 0;  // float32, made in each forward pass and kept for the backward pass
  double maps_of_block = 0;    // kept of each transformer block, beside the block's own
  bool text_encoders = false;  // their activations are kept
  bool whole_parts = false;    // the model's own weights are what is trained
};

// Of all parameters.
inline int64_t NumbersOf(const torch::nn::Module& module) {
  int64_t numbers = 0;
  for (const auto& parameter : module.parameters()) numbers += parameter.numel();
  return numbers;
}

}  // namespace likeness

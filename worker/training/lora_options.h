#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace likeness {

// How a layer's update is made of its factors (worker/methods/lora_variants.h).
enum class LoraVariant { kLora, kDora, kLoha, kLokr };

// Defaults are those of diffusers' and hosted trainers (docs/training.md has the sources).
struct LoraOptions {
  int64_t rank = 16;
  double alpha = 16;
  double dropout = 0;            // share of the inputs that updates do not see in a step
  bool rank_stabilized = false;  // rsLoRA
  LoraVariant variant = LoraVariant::kLora;
  double up_learning_rate_ratio = 1;  // LoRA+: of the factor that begins as zeros, to the others'
  // T-LoRA: the ranks that act at the noisiest timestep; empty: all.
  std::optional<int64_t> min_rank = {};
  int64_t lokr_factor = 8;  // the smaller factor of LoKr has at most so many rows
  // Layers of the denoiser: those whose names are one of these or end with "." and one of these.
  std::vector<std::string> targets = {"to_q", "to_k", "to_v", "to_out.0"};
};

}  // namespace likeness

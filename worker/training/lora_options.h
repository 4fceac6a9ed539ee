#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace likeness {

// Defaults are those of diffusers' and hosted trainers (docs/training.md has the sources).
struct LoraOptions {
  int64_t rank = 16;
  double alpha = 16;
  double dropout = 0;            // share of the inputs that updates do not see in a step
  bool rank_stabilized = false;  // rsLoRA
  // Layers of the denoiser: those whose names are one of these or end with "." and one of these.
  std::vector<std::string> targets = {"to_q", "to_k", "to_v", "to_out.0"};
};

}  // namespace likeness

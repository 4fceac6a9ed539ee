// Everything needed to resume a training run, as one safetensors file. Random numbers need no state
// (training_rng.h), and the position in the data follows from the step.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "worker/training/adamw.h"

namespace likeness {

struct TrainingState {
  int64_t step = 0;                // optimizer steps done
  std::vector<float> losses = {};  // one a step
};

// Tensors "weight/<name>", "adamw.m/<name>", "adamw.v/<name>" (float32), "adamw.steps" (int64, one
// a name), "losses"; metadata "step" and "job". names, masters: of every trained parameter, in the
// optimizer's order. `job` says which run this is part of.
void SaveTrainingState(const std::filesystem::path& file, const std::string& job,
                       const TrainingState& state, const std::vector<std::string>& names,
                       const std::vector<torch::Tensor>& masters, const AdamW& optimizer);

// Fills masters and optimizer. A checkpoint without "adamw.steps", as earlier versions wrote them,
// counts every parameter as updated in every step, as they did. Throws Error(kFailedPrecondition)
// if the file belongs to another job or holds other parameters, Error(kDataLoss) if it is cut.
TrainingState LoadTrainingState(const std::filesystem::path& file, const std::string& job,
                                const std::vector<std::string>& names,
                                const std::vector<torch::Tensor>& masters, AdamW& optimizer);

}  // namespace likeness

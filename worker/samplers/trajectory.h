// The way from noise to a picture, as steps between timesteps.
#pragma once

#include <torch/torch.h>

#include <string>
#include <vector>

#include "worker/samplers/noise_schedule.h"

namespace likeness {

// One step, from timestep t to t_prev < t. t_prev is kCleanTimestep on the step to the finished
// latents.
struct Span {
  int64_t t;
  int64_t t_prev;
};
inline constexpr int64_t kCleanTimestep = -1;

// What a multistep sampler looks back at: the clean latents that were predicted one step earlier.
struct PastStep {
  int64_t t;
  torch::Tensor x0_BCHW;
};

// Throws kInvalidArgument unless 1 <= steps <= most.
void CheckSteps(int steps, int most);

}  // namespace likeness

// The way from noise to a picture, as steps between levels of noise.
#pragma once

#include <torch/torch.h>

#include <cstdint>
#include <string>
#include <vector>

#include "worker/diffusion/noise_schedule.h"

namespace likeness {

// One step. A level is the a of x = sqrt(a) x_0 + sqrt(1 - a) eps, from 0 (nothing but noise) to 1
// (clean). The model, asked at timestep t, sees latents at level a; the step leads to a_next.
struct Span {
  int64_t t;
  double a;
  double a_next;
};

// What a multistep sampler looks back at: the clean latents that were predicted one step earlier,
// from latents at level a.
struct PastStep {
  double a;
  torch::Tensor x0_BCHW;
};

// Throws kInvalidArgument unless 1 <= steps <= most.
void CheckSteps(int steps, int most);

// Timesteps as numpy rounds them, from noisy to clean. All arguments are in range.
// `count` of them evenly from `last` to 0.
std::vector<int64_t> LinspaceTimesteps(int64_t last, int count);
// count - 1, ..., 0, times `stride`, plus `offset`.
std::vector<int64_t> LeadingTimesteps(int64_t stride, int count, int64_t offset);
// `count` of them evenly from total - 1, ending one stride above -1.
std::vector<int64_t> TrailingTimesteps(int64_t total, int count);

}  // namespace likeness

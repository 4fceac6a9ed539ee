// The step that DDIM is made of (Song et al., 2010.02502, eq. 12), which other samplers take too.
#pragma once

#include <torch/torch.h>

#include <cmath>

#include "worker/diffusion/sampler_table.h"

namespace likeness {

// Latents at level a_next.
inline torch::Tensor DdimStep(const Prediction& prediction, double a_next) {
  return std::sqrt(a_next) * prediction.x0_BCHW + std::sqrt(1 - a_next) * prediction.eps_BCHW;
}

// The level that lies one stride on from `t`, whatever the grid's next is: so has the reference.
inline Level OneStrideOn(const Sampling& sampling, double t) {
  const auto next = static_cast<int64_t>(t) - sampling.grid.stride;
  return next < 0 ? sampling.grid.end : sampling.schedule.LevelAt(next);
}

}  // namespace likeness

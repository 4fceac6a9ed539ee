// The scale in which Karras et al. (2206.00364) write their samplers: y = x_0 + sigma eps, which is
// x / sqrt(a) of the training's process.
#pragma once

#include <torch/torch.h>

#include <cmath>

#include "worker/diffusion/sampler_table.h"

namespace likeness {

inline torch::Tensor ToExploding(const torch::Tensor& x_BCHW, const Level& level) {
  return x_BCHW / level.signal();
}

// The model's prediction at y. Its eps is dy/dsigma of the probability flow (eq. 1 and 3).
inline Prediction DenoiseExploding(const Sampling& sampling, const torch::Tensor& y_BCHW,
                                   const Level& level) {
  return sampling.denoise(y_BCHW * level.signal(), level);
}

// Latents after the step from the grid's level i (Sampling::Kept).
inline torch::Tensor KeptExploding(const Sampling& sampling, const torch::Tensor& y_BCHW,
                                   size_t i) {
  if (!sampling.keep) return y_BCHW;
  const bool last = i + 1 == sampling.grid.levels.size();
  const double signal = last ? 1 : sampling.grid.levels[i + 1].signal();
  return sampling.Kept(y_BCHW * signal, i) / signal;
}

// A step to sigma `to` whose noise is partly drawn anew: go down to `down`, then add `up` of fresh
// noise. down^2 + up^2 = to^2.
struct AncestralStep {
  double down = 0;
  double up = 0;
};

inline AncestralStep SplitStep(double from, double to) {
  const double down = to * to / from;
  return {.down = down, .up = std::sqrt(to * to - down * down)};
}

}  // namespace likeness

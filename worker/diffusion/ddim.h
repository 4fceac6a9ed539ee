// DDIM without noise (eta = 0): Song et al., 2010.02502, eq. 12. Equal to diffusers' DDIMScheduler.
#pragma once

#include <optional>
#include <vector>

#include "worker/diffusion/denoiser.h"
#include "worker/diffusion/trajectory.h"

namespace likeness {

// Immutable; the schedule must outlive it.
class Ddim {
 public:
  explicit Ddim(const NoiseSchedule& schedule) : schedule_(schedule) {}

  // "leading" spacing where the schedule states none. kInvalidArgument unless 1 <= steps <=
  // num_train_timesteps, less steps_offset with "leading".
  std::vector<Span> Spans(int steps) const;

  // x at span.a_next. The sampler looks at one prediction alone: x and the past do not enter.
  torch::Tensor Step(const torch::Tensor& x_BCHW, const Prediction& prediction, Span span,
                     const std::optional<PastStep>& past) const;

 private:
  const NoiseSchedule& schedule_;
};

}  // namespace likeness

// DDIM without noise (eta = 0): Song et al., 2010.02502, eq. 12. Equal to diffusers' DDIMScheduler,
// "leading" spacing.
#pragma once

#include <optional>
#include <vector>

#include "worker/samplers/denoiser.h"
#include "worker/samplers/trajectory.h"

namespace likeness {

// Immutable; the schedule must outlive it.
class Ddim {
 public:
  explicit Ddim(const NoiseSchedule& schedule) : schedule_(schedule) {}

  // kInvalidArgument unless 1 <= steps <= num_train_timesteps - steps_offset.
  std::vector<Span> Spans(int steps) const;

  // x at span.t_prev. The sampler looks at one prediction alone: x and the past do not enter.
  torch::Tensor Step(const torch::Tensor& x_BCHW, const Prediction& prediction, Span span,
                     const std::optional<PastStep>& past) const;

 private:
  const NoiseSchedule& schedule_;
};

}  // namespace likeness

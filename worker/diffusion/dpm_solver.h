// DPM-Solver++(2M): Lu et al., 2211.01095, algorithm 2. Equal to diffusers'
// DPMSolverMultistepScheduler with algorithm dpmsolver++, order 2, midpoint, final sigma zero.
#pragma once

#include <optional>
#include <vector>

#include "worker/diffusion/denoiser.h"
#include "worker/diffusion/trajectory.h"

namespace likeness {

// Immutable; the schedule must outlive it.
class DpmSolver2M {
 public:
  explicit DpmSolver2M(const NoiseSchedule& schedule) : schedule_(schedule) {}

  // "linspace" spacing where the schedule states none; Karras' levels (2206.00364, eq. 5) where it
  // says so. kInvalidArgument unless 1 <= steps < num_train_timesteps, less steps_offset with
  // "leading".
  std::vector<Span> Spans(int steps) const;

  // x at span.a_next, of second order where there is a past, of first order (DDIM) where not.
  torch::Tensor Step(const torch::Tensor& x_BCHW, const Prediction& prediction, Span span,
                     const std::optional<PastStep>& past) const;

 private:
  const NoiseSchedule& schedule_;
};

}  // namespace likeness

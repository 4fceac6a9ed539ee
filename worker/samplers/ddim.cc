#include "worker/samplers/ddim.h"

#include <cmath>

namespace likeness {

std::vector<Span> Ddim::Spans(int steps) const {
  const auto& options = schedule_.options();
  CheckSteps(steps, options.num_train_timesteps - options.steps_offset);
  const int64_t stride = options.num_train_timesteps / steps;
  std::vector<Span> spans;
  for (int64_t k = steps - 1; k >= 0; --k) {
    const int64_t t = k * stride + options.steps_offset;
    // With many steps the last stride can end on timestep 0 rather than beyond it.
    spans.push_back({t, std::max(t - stride, kCleanTimestep)});
  }
  return spans;
}

torch::Tensor Ddim::Step(const torch::Tensor& /*x_BCHW*/, const Prediction& prediction, Span span,
                         const std::optional<PastStep>& /*past*/) const {
  const double a_final = schedule_.options().set_alpha_to_one ? 1.0 : schedule_.AlphaCumprod(0);
  const double a_prev =
      span.t_prev == kCleanTimestep ? a_final : schedule_.AlphaCumprod(span.t_prev);
  return std::sqrt(a_prev) * prediction.x0_BCHW + std::sqrt(1 - a_prev) * prediction.eps_BCHW;
}

}  // namespace likeness

#include "worker/diffusion/ddim.h"

#include <cmath>

namespace likeness {
namespace {

std::vector<int64_t> DdimTimesteps(const NoiseScheduleOptions& options, int steps) {
  const int total = options.num_train_timesteps;
  switch (options.timestep_spacing.value_or(TimestepSpacing::kLeading)) {
    case TimestepSpacing::kLinspace:
      CheckSteps(steps, total);
      return LinspaceTimesteps(total - 1, steps);
    case TimestepSpacing::kTrailing:
      CheckSteps(steps, total);
      return TrailingTimesteps(total, steps);
    case TimestepSpacing::kLeading:
      break;
  }
  CheckSteps(steps, total - kStepsOffset);
  return LeadingTimesteps(total / steps, steps, kStepsOffset);
}

}  // namespace

std::vector<Span> Ddim::Spans(int steps) const {
  const auto& options = schedule_.options();
  const auto timesteps = DdimTimesteps(options, steps);
  const int64_t stride = options.num_train_timesteps / steps;
  const double a_final = options.set_alpha_to_one ? 1.0 : schedule_.AlphaCumprod(0);
  std::vector<Span> spans;
  for (const int64_t t : timesteps) {
    // One stride on, whatever the next timestep is: so has the reference.
    const int64_t t_next = t - stride;
    spans.push_back({.t = t,
                     .a = schedule_.AlphaCumprod(t),
                     .a_next = t_next < 0 ? a_final : schedule_.AlphaCumprod(t_next)});
  }
  return spans;
}

torch::Tensor Ddim::Step(const torch::Tensor& /*x_BCHW*/, const Prediction& prediction, Span span,
                         const std::optional<PastStep>& /*past*/) const {
  return std::sqrt(span.a_next) * prediction.x0_BCHW +
         std::sqrt(1 - span.a_next) * prediction.eps_BCHW;
}

}  // namespace likeness

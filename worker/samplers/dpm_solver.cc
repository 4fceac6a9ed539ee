#include "worker/samplers/dpm_solver.h"

#include <cmath>

namespace likeness {
namespace {

// The paper's alpha, sigma and half log signal-to-noise ratio at a timestep.
struct Level {
  double alpha;
  double sigma;
  double lambda;
};

Level LevelAt(const NoiseSchedule& schedule, int64_t t) {
  const double a = schedule.AlphaCumprod(t);
  return {std::sqrt(a), std::sqrt(1 - a), 0.5 * std::log(a / (1 - a))};
}

}  // namespace

std::vector<Span> DpmSolver2M::Spans(int steps) const {
  const auto& options = schedule_.options();
  CheckSteps(steps, options.num_train_timesteps - 1 - options.steps_offset);
  const int64_t stride = options.num_train_timesteps / (steps + 1);
  std::vector<Span> spans;
  for (int64_t k = steps; k >= 1; --k) {
    const int64_t t = k * stride + options.steps_offset;
    spans.push_back({t, k == 1 ? kCleanTimestep : t - stride});
  }
  return spans;
}

torch::Tensor DpmSolver2M::Step(const torch::Tensor& x_BCHW, const Prediction& prediction,
                                Span span, const std::optional<PastStep>& past) const {
  const auto& x0_BCHW = prediction.x0_BCHW;
  // Without noise left the solution is the prediction itself: sigma = 0, exp(-h) = 0.
  if (span.t_prev == kCleanTimestep) return x0_BCHW;

  const Level from = LevelAt(schedule_, span.t);
  const Level to = LevelAt(schedule_, span.t_prev);
  const double h = to.lambda - from.lambda;
  auto data_BCHW = x0_BCHW;
  if (past) {
    const double r = (from.lambda - LevelAt(schedule_, past->t).lambda) / h;
    data_BCHW = x0_BCHW + (x0_BCHW - past->x0_BCHW) / (2 * r);
  }
  return (to.sigma / from.sigma) * x_BCHW - to.alpha * std::expm1(-h) * data_BCHW;
}

}  // namespace likeness

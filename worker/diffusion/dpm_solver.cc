#include "worker/diffusion/dpm_solver.h"

#include <algorithm>
#include <cmath>

namespace likeness {
namespace {

// The least signal that the solver sees: half the logarithm of signal over noise is infinite
// without any. The reference puts this number where zero terminal SNR leaves none.
constexpr double kLeastSignal = 1.0 / (1 << 24);

double LevelAt(const NoiseSchedule& schedule, int64_t t) {
  return std::max(schedule.AlphaCumprod(t), kLeastSignal);
}

// lambda of the paper at a level.
double HalfLogSnr(double a) { return 0.5 * std::log(a / (1 - a)); }

std::vector<int64_t> SolverTimesteps(const NoiseScheduleOptions& options, int steps) {
  const int total = options.num_train_timesteps;
  switch (options.timestep_spacing.value_or(TimestepSpacing::kLinspace)) {
    case TimestepSpacing::kLeading: {
      CheckSteps(steps, total - 1 - kStepsOffset);
      // The clean end is one stride below the last: steps + 1 of them, without that end.
      auto timesteps = LeadingTimesteps(total / (steps + 1), steps + 1, kStepsOffset);
      timesteps.pop_back();
      return timesteps;
    }
    case TimestepSpacing::kTrailing:
      CheckSteps(steps, total - 1);
      return TrailingTimesteps(total, steps);
    case TimestepSpacing::kLinspace:
      break;
  }
  CheckSteps(steps, total - 1);
  auto timesteps = LinspaceTimesteps(total - 1, steps + 1);
  timesteps.pop_back();
  return timesteps;
}

// The timestep, rounded, at which the schedule is at a level: log sigma lies between its
// neighbours'.
int64_t NearestTimestep(const std::vector<double>& log_sigmas, double log_sigma) {
  const auto above = std::upper_bound(log_sigmas.begin(), log_sigmas.end(), log_sigma);
  const auto low = std::clamp<int64_t>(above - log_sigmas.begin() - 1, 0,
                                       static_cast<int64_t>(log_sigmas.size()) - 2);
  const double share = (log_sigmas[low] - log_sigma) / (log_sigmas[low] - log_sigmas[low + 1]);
  return std::llrint(std::nearbyint(static_cast<double>(low) + std::clamp(share, 0.0, 1.0)));
}

// rho = 7, between the noisiest and the cleanest level of the schedule.
std::vector<Span> KarrasSpans(const NoiseSchedule& schedule, int steps) {
  const int total = schedule.num_train_timesteps();
  CheckSteps(steps, total - 1);
  std::vector<double> log_sigmas;
  for (int64_t t = 0; t < total; ++t) log_sigmas.push_back(-HalfLogSnr(LevelAt(schedule, t)));
  constexpr double kRho = 7;
  const double from = std::exp(log_sigmas.back() / kRho), to = std::exp(log_sigmas.front() / kRho);
  std::vector<Span> spans;
  for (int k = 0; k < steps; ++k) {
    const double ramp = steps > 1 ? static_cast<double>(k) / (steps - 1) : 0;
    const double sigma = std::pow(from + ramp * (to - from), kRho);
    spans.push_back({.t = NearestTimestep(log_sigmas, std::log(sigma)),
                     .a = 1 / (1 + sigma * sigma),
                     .a_next = 1});
  }
  return spans;
}

}  // namespace

std::vector<Span> DpmSolver2M::Spans(int steps) const {
  std::vector<Span> spans;
  if (schedule_.options().use_karras_sigmas) {
    spans = KarrasSpans(schedule_, steps);
  } else {
    for (const int64_t t : SolverTimesteps(schedule_.options(), steps)) {
      spans.push_back({.t = t, .a = LevelAt(schedule_, t), .a_next = 1});
    }
  }
  for (size_t i = 0; i + 1 < spans.size(); ++i) spans[i].a_next = spans[i + 1].a;
  return spans;
}

torch::Tensor DpmSolver2M::Step(const torch::Tensor& x_BCHW, const Prediction& prediction,
                                Span span, const std::optional<PastStep>& past) const {
  const auto& x0_BCHW = prediction.x0_BCHW;
  // Without noise left the solution is the prediction itself: sigma = 0, exp(-h) = 0.
  if (span.a_next == 1) return x0_BCHW;

  const double from = HalfLogSnr(span.a);
  const double h = HalfLogSnr(span.a_next) - from;
  auto data_BCHW = x0_BCHW;
  if (past) {
    const double r = (from - HalfLogSnr(past->a)) / h;
    data_BCHW = x0_BCHW + (x0_BCHW - past->x0_BCHW) / (2 * r);
  }
  return std::sqrt((1 - span.a_next) / (1 - span.a)) * x_BCHW -
         std::sqrt(span.a_next) * std::expm1(-h) * data_BCHW;
}

}  // namespace likeness

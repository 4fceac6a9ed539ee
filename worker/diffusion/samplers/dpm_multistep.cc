#include <algorithm>
#include <cmath>
#include <vector>

#include "worker/diffusion/samplers/samplers.h"

namespace likeness {
namespace {

// Clean latents that were predicted, and lambda there.
struct SolvedPast {
  torch::Tensor x0_BCHW;
  double lambda;
};

// The order of a step: as many predictions as there are, and less at the end, where it is
// unstable.
int OrderOfStep(const SamplerSettings& settings, size_t i, size_t steps, size_t past) {
  const bool few = settings.lower_order_final && steps < 15;
  const bool last = i + 1 == steps;
  if (last && (settings.euler_at_final || few || settings.final_sigma == FinalSigma::kZero)) {
    return 1;
  }
  const int most = i + 2 == steps && few ? 2 : 3;
  return std::min({settings.solver_order, static_cast<int>(past), most});
}

// The clean latents that the step is solved with, seen from its beginning: the value, and what its
// first and second derivatives over lambda add, h^n already multiplied in.
struct Expansion {
  torch::Tensor value_BCHW;
  torch::Tensor first_BCHW;   // undefined below order 2
  torch::Tensor second_BCHW;  // undefined below order 3
};

Expansion Expand(const std::vector<SolvedPast>& past, int order, double h) {
  const auto& now = past.back();
  Expansion result{.value_BCHW = now.x0_BCHW, .first_BCHW = {}, .second_BCHW = {}};
  if (order == 1) return result;
  const auto& before = past[past.size() - 2];
  const double r0 = (now.lambda - before.lambda) / h;
  result.first_BCHW = (now.x0_BCHW - before.x0_BCHW) / r0;
  if (order == 2) return result;
  const auto& earlier = past[past.size() - 3];
  const double r1 = (before.lambda - earlier.lambda) / h;
  const auto change_BCHW = result.first_BCHW - (before.x0_BCHW - earlier.x0_BCHW) / r1;
  result.first_BCHW = result.first_BCHW + r0 / (r0 + r1) * change_BCHW;
  result.second_BCHW = change_BCHW / (r0 + r1);
  return result;
}

}  // namespace

torch::Tensor RunDpmMultistep(const Sampling& sampling, torch::Tensor x_BCHW) {
  const auto& grid = sampling.grid;
  const auto& settings = sampling.settings;
  std::vector<SolvedPast> past;
  for (size_t i = sampling.first; i < grid.levels.size(); ++i) {
    const Level from = grid.levels[i], to = grid.Next(i);
    past.push_back({sampling.denoise(x_BCHW, from).x0_BCHW, from.half_log_snr()});
    if (past.size() > 3) past.erase(past.begin());
    if (to.a == 1) {  // without noise left the solution is the prediction itself
      x_BCHW = past.back().x0_BCHW;
      x_BCHW = sampling.Kept(x_BCHW, i);
      sampling.StepDone();
      continue;
    }
    const double h = to.half_log_snr() - from.half_log_snr();
    const int order = OrderOfStep(settings, i, grid.levels.size(), past.size());
    const auto data = Expand(past, order, h);
    // Of the ordinary equation, exp(-h) of the way is left; of the stochastic one, exp(-2h).
    const double z = settings.sde ? 2 * h : h;
    const double phi_1 = -std::expm1(-z);
    auto solved_BCHW = data.value_BCHW;
    if (order >= 2) {
      const double weight = order == 2 && settings.solver_type == SolverType::kMidpoint
                                ? 0.5
                                : (1 - phi_1 / z) / phi_1;
      solved_BCHW = solved_BCHW + weight * data.first_BCHW;
    }
    if (order == 3) {
      const double phi_3 = settings.sde ? (phi_1 - z) / (z * z) - 0.5 : (z - phi_1) / (z * z) - 0.5;
      solved_BCHW = solved_BCHW + (settings.sde ? 1 : -1) * phi_3 / phi_1 * data.second_BCHW;
    }
    const double kept = std::sqrt((1 - to.a) / (1 - from.a)) * (settings.sde ? std::exp(-h) : 1);
    x_BCHW = kept * x_BCHW + to.signal() * phi_1 * solved_BCHW;
    if (settings.sde) {
      x_BCHW = x_BCHW + to.noise() * std::sqrt(-std::expm1(-2 * h)) * sampling.noise.Draw();
    }
    x_BCHW = sampling.Kept(x_BCHW, i);
    sampling.StepDone();
  }
  return x_BCHW;
}

}  // namespace likeness

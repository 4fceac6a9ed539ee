#include <algorithm>
#include <cmath>
#include <deque>
#include <vector>

#include "worker/diffusion/samplers/samplers.h"
#include "worker/diffusion/samplers/variance_exploding.h"

namespace likeness {
namespace {

// The noise that was predicted, and log rho there, rho = sigma of the exploding scale.
struct DeisPoint {
  torch::Tensor eps_BCHW;
  double log_rho;
};

// The integral over rho from rho_0 to rho_1 of the polynomial in log rho that is 1 at points[k] and
// 0 at the others (eq. 15), of degree 0 to 2. Its antiderivatives: of 1, rho; of log rho, rho (log
// rho - 1); of its square, rho ((log rho)^2 - 2 log rho + 2).
double DeisCoefficient(const std::deque<DeisPoint>& points, size_t order, size_t k, double from,
                       double to) {
  std::vector<double> roots;
  double divisor = 1;
  for (size_t j = 0; j < order; ++j) {
    if (j == k) continue;
    roots.push_back(points[j].log_rho);
    divisor *= points[k].log_rho - points[j].log_rho;
  }
  const auto antiderivative = [&](double log_rho) {
    const double rho = std::exp(log_rho);
    const double linear = log_rho - 1, square = log_rho * log_rho - 2 * log_rho + 2;
    if (roots.empty()) return rho;
    if (roots.size() == 1) return rho * (linear - roots[0]);
    return rho * (square - (roots[0] + roots[1]) * linear + roots[0] * roots[1]);
  };
  return (antiderivative(to) - antiderivative(from)) / divisor;
}

size_t DeisOrder(const SamplerSettings& settings, size_t i, size_t steps, size_t past) {
  const size_t left = settings.lower_order_final && steps < 15 ? steps - i : 3;
  return std::min({static_cast<size_t>(settings.solver_order), past, left});
}

}  // namespace

torch::Tensor RunDeis(const Sampling& sampling, torch::Tensor x_BCHW) {
  const auto& grid = sampling.grid;
  auto y_BCHW = ToExploding(x_BCHW, grid.levels[sampling.first]);
  std::deque<DeisPoint> past;  // the newest first
  for (size_t i = sampling.first; i < grid.levels.size(); ++i) {
    const Level level = grid.levels[i];
    const double log_rho = std::log(level.sigma()), log_rho_next = std::log(grid.Next(i).sigma());
    const auto x0_BCHW = DenoiseExploding(sampling, y_BCHW, level).x0_BCHW;
    past.push_front({(y_BCHW - x0_BCHW) / level.sigma(), log_rho});
    if (past.size() > 3) past.pop_back();
    const size_t order = DeisOrder(sampling.settings, i, grid.levels.size(), past.size());
    for (size_t k = 0; k < order; ++k) {
      y_BCHW = y_BCHW + DeisCoefficient(past, order, k, log_rho, log_rho_next) * past[k].eps_BCHW;
    }
    if (i + 1 == grid.levels.size()) y_BCHW = y_BCHW * grid.end.signal();
    y_BCHW = KeptExploding(sampling, y_BCHW, i);
    sampling.StepDone();
  }
  return y_BCHW;
}

}  // namespace likeness

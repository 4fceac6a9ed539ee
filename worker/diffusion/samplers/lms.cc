#include <algorithm>
#include <deque>
#include <vector>

#include "worker/diffusion/samplers/samplers.h"
#include "worker/diffusion/samplers/variance_exploding.h"

namespace likeness {
namespace {

constexpr size_t kLmsOrder = 4;

// The integral from `from` to `to` of the polynomial that is 1 at nodes[k] and 0 at the others.
// Gauss and Legendre's three points are exact up to the fifth power, and it has the third at most.
double LagrangeIntegral(const std::vector<double>& nodes, size_t k, double from, double to) {
  const auto basis = [&](double x) {
    double product = 1;
    for (size_t j = 0; j < nodes.size(); ++j) {
      if (j != k) product *= (x - nodes[j]) / (nodes[k] - nodes[j]);
    }
    return product;
  };
  constexpr double kNode = 0.7745966692414834;  // sqrt(3/5)
  const double middle = (from + to) / 2, half = (to - from) / 2;
  return half *
         (5 * basis(middle - kNode * half) + 8 * basis(middle) + 5 * basis(middle + kNode * half)) /
         9;
}

}  // namespace

torch::Tensor RunLms(const Sampling& sampling, torch::Tensor x_BCHW) {
  const auto& grid = sampling.grid;
  auto y_BCHW = ToExploding(x_BCHW, grid.levels[sampling.first]);
  std::deque<torch::Tensor> slopes;  // the newest first
  for (size_t i = sampling.first; i < grid.levels.size(); ++i) {
    slopes.push_front(DenoiseExploding(sampling, y_BCHW, grid.levels[i]).eps_BCHW);
    if (slopes.size() > kLmsOrder) slopes.pop_back();
    // Of the whole grid's levels, whether or not the run began there: so has the reference.
    std::vector<double> sigmas;
    for (size_t k = 0; k < std::min(i + 1, kLmsOrder); ++k) {
      sigmas.push_back(grid.levels[i - k].sigma());
    }
    for (size_t k = 0; k < slopes.size(); ++k) {
      y_BCHW = y_BCHW + LagrangeIntegral(sigmas, k, sigmas[0], grid.Next(i).sigma()) * slopes[k];
    }
    y_BCHW = KeptExploding(sampling, y_BCHW, i);
    sampling.StepDone();
  }
  return y_BCHW;
}

}  // namespace likeness

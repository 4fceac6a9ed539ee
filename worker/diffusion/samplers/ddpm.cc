#include <algorithm>
#include <cmath>

#include "worker/diffusion/samplers/samplers.h"

namespace likeness {
namespace {

// Standard deviation of the noise from level a to a_next.
double DdpmNoise(VarianceType type, double a, double a_next) {
  const double beta = 1 - a / a_next;
  const double small = std::max((1 - a_next) / (1 - a) * beta, 1e-20);
  return std::sqrt(type == VarianceType::kFixedLarge ? beta : small);
}

}  // namespace

torch::Tensor RunDdpm(const Sampling& sampling, torch::Tensor x_BCHW) {
  const auto& grid = sampling.grid;
  for (size_t i = sampling.first; i < grid.levels.size(); ++i) {
    const Level level = grid.levels[i];
    const bool last = i + 1 == grid.levels.size();
    const double a = level.a, a_next = last ? 1.0 : grid.levels[i + 1].a;
    const double alpha = a / a_next;
    const auto prediction = sampling.denoise(x_BCHW, level);
    // The posterior's mean, eq. 7.
    x_BCHW = std::sqrt(a_next) * (1 - alpha) / (1 - a) * prediction.x0_BCHW +
             std::sqrt(alpha) * (1 - a_next) / (1 - a) * x_BCHW;
    if (level.t > 0) {
      x_BCHW = x_BCHW + DdpmNoise(sampling.settings.variance, a, a_next) * sampling.noise.Draw();
    }
    x_BCHW = sampling.Kept(x_BCHW, i);
    sampling.StepDone();
  }
  return x_BCHW;
}

}  // namespace likeness

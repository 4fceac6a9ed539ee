#include "worker/diffusion/samplers/samplers.h"
#include "worker/diffusion/samplers/variance_exploding.h"

namespace likeness {

torch::Tensor RunEuler(const Sampling& sampling, torch::Tensor x_BCHW) {
  const auto& grid = sampling.grid;
  auto y_BCHW = ToExploding(x_BCHW, grid.levels[sampling.first]);
  for (size_t i = sampling.first; i < grid.levels.size(); ++i) {
    const auto slope_BCHW = DenoiseExploding(sampling, y_BCHW, grid.levels[i]).eps_BCHW;
    y_BCHW = y_BCHW + (grid.Next(i).sigma() - grid.levels[i].sigma()) * slope_BCHW;
    y_BCHW = KeptExploding(sampling, y_BCHW, i);
    sampling.StepDone();
  }
  return y_BCHW;
}

torch::Tensor RunEulerAncestral(const Sampling& sampling, torch::Tensor x_BCHW) {
  const auto& grid = sampling.grid;
  auto y_BCHW = ToExploding(x_BCHW, grid.levels[sampling.first]);
  for (size_t i = sampling.first; i < grid.levels.size(); ++i) {
    const double sigma = grid.levels[i].sigma();
    const auto step = SplitStep(sigma, grid.Next(i).sigma());
    const auto slope_BCHW = DenoiseExploding(sampling, y_BCHW, grid.levels[i]).eps_BCHW;
    y_BCHW = y_BCHW + (step.down - sigma) * slope_BCHW;
    if (step.up > 0) y_BCHW = y_BCHW + step.up * sampling.noise.Draw();
    y_BCHW = KeptExploding(sampling, y_BCHW, i);
    sampling.StepDone();
  }
  return y_BCHW;
}

}  // namespace likeness

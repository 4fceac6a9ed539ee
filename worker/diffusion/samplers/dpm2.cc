#include "worker/diffusion/samplers/samplers.h"
#include "worker/diffusion/samplers/variance_exploding.h"

namespace likeness {
namespace {

// Halfway in log sigma.
Level MiddleLevel(const NoiseSchedule& schedule, double from, double to) {
  const double sigma = std::sqrt(from * to);
  return {.t = schedule.TimestepOfSigma(sigma), .a = LevelOfSigma(sigma)};
}

// By the slope in the middle from y at the grid's level i to sigma `to`, above 0. What is kept of a
// picture has the noise of the next level in the middle too, as in the reference.
torch::Tensor MidpointStep(const Sampling& sampling, const torch::Tensor& y_BCHW, size_t i,
                           double to) {
  const Level level = sampling.grid.levels[i];
  const double sigma = level.sigma();
  const Level middle = MiddleLevel(sampling.schedule, sigma, to);
  const auto slope_BCHW = DenoiseExploding(sampling, y_BCHW, level).eps_BCHW;
  const auto middle_BCHW =
      KeptExploding(sampling, y_BCHW + (middle.sigma() - sigma) * slope_BCHW, i);
  return y_BCHW + (to - sigma) * DenoiseExploding(sampling, middle_BCHW, middle).eps_BCHW;
}

}  // namespace

torch::Tensor RunDpm2(const Sampling& sampling, torch::Tensor x_BCHW) {
  const auto& grid = sampling.grid;
  auto y_BCHW = ToExploding(x_BCHW, grid.levels[sampling.first]);
  for (size_t i = sampling.first; i + 1 < grid.levels.size(); ++i) {
    y_BCHW = MidpointStep(sampling, y_BCHW, i, grid.levels[i + 1].sigma());
    y_BCHW = KeptExploding(sampling, y_BCHW, i);
    sampling.StepDone();
  }
  y_BCHW = DenoiseExploding(sampling, y_BCHW, grid.levels.back()).x0_BCHW;
  y_BCHW = KeptExploding(sampling, y_BCHW, grid.levels.size() - 1);
  sampling.StepDone();
  return y_BCHW;
}

torch::Tensor RunDpm2Ancestral(const Sampling& sampling, torch::Tensor x_BCHW) {
  const auto& grid = sampling.grid;
  auto y_BCHW = ToExploding(x_BCHW, grid.levels[sampling.first]);
  for (size_t i = sampling.first; i + 1 < grid.levels.size(); ++i) {
    const auto step = SplitStep(grid.levels[i].sigma(), grid.levels[i + 1].sigma());
    y_BCHW = MidpointStep(sampling, y_BCHW, i, step.down) + step.up * sampling.noise.Draw();
    y_BCHW = KeptExploding(sampling, y_BCHW, i);
    sampling.StepDone();
  }
  y_BCHW = DenoiseExploding(sampling, y_BCHW, grid.levels.back()).x0_BCHW;
  y_BCHW = KeptExploding(sampling, y_BCHW, grid.levels.size() - 1);
  sampling.StepDone();
  return y_BCHW;
}

}  // namespace likeness

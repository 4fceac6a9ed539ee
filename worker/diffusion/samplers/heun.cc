#include "worker/diffusion/samplers/samplers.h"
#include "worker/diffusion/samplers/variance_exploding.h"

namespace likeness {

torch::Tensor RunHeun(const Sampling& sampling, torch::Tensor x_BCHW) {
  const auto& grid = sampling.grid;
  auto y_BCHW = ToExploding(x_BCHW, grid.levels[sampling.first]);
  for (size_t i = sampling.first; i < grid.levels.size(); ++i) {
    const Level next = grid.Next(i);
    const double h = next.sigma() - grid.levels[i].sigma();
    auto slope_BCHW = DenoiseExploding(sampling, y_BCHW, grid.levels[i]).eps_BCHW;
    if (next.a < 1) {  // at the clean end there is no slope to average with
      const auto there_BCHW = KeptExploding(sampling, y_BCHW + h * slope_BCHW, i);
      slope_BCHW = (slope_BCHW + DenoiseExploding(sampling, there_BCHW, next).eps_BCHW) / 2;
    }
    y_BCHW = y_BCHW + h * slope_BCHW;
    y_BCHW = KeptExploding(sampling, y_BCHW, i);
    sampling.StepDone();
  }
  return y_BCHW;
}

}  // namespace likeness

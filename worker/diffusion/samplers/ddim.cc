#include <algorithm>
#include <cmath>

#include "worker/diffusion/samplers/ddim_step.h"
#include "worker/diffusion/samplers/samplers.h"

namespace likeness {

torch::Tensor RunDdim(const Sampling& sampling, torch::Tensor x_BCHW) {
  const double eta = sampling.settings.eta;
  for (size_t i = sampling.first; i < sampling.grid.levels.size(); ++i) {
    const Level level = sampling.grid.levels[i];
    const auto prediction = sampling.denoise(x_BCHW, level);
    const Level next = OneStrideOn(sampling, level.t);
    if (eta == 0) {
      x_BCHW = DdimStep(prediction, next.a);
    } else {
      // sigma_t of eq. 16: with eta 1 it is DDPM's.
      const double sigma = eta * std::sqrt((1 - next.a) / (1 - level.a) * (1 - level.a / next.a));
      x_BCHW = std::sqrt(next.a) * prediction.x0_BCHW +
               // With eta 1 nothing is left of it where the level has no signal, up to rounding.
               std::sqrt(std::max(0.0, 1 - next.a - sigma * sigma)) * prediction.eps_BCHW +
               sigma * sampling.noise.Draw();
    }
    x_BCHW = sampling.Kept(x_BCHW, i);
    sampling.StepDone();
  }
  return x_BCHW;
}

}  // namespace likeness

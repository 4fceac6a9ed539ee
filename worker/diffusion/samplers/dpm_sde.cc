#include "worker/diffusion/samplers/samplers.h"
#include "worker/diffusion/samplers/variance_exploding.h"

namespace likeness {
namespace {

// From y at sigma `from` to `to` with clean latents x0 held fixed: part of the way down without
// noise, the rest by noise of the Brownian motion.
torch::Tensor SdeStep(const Sampling& sampling, const torch::Tensor& y_BCHW,
                      const torch::Tensor& x0_BCHW, double from, double to) {
  const auto step = SplitStep(from, to);
  const double kept = step.down / from;
  return kept * y_BCHW + (1 - kept) * x0_BCHW + step.up * sampling.noise.DrawBetween(from, to);
}

}  // namespace

torch::Tensor RunDpmSde(const Sampling& sampling, torch::Tensor x_BCHW) {
  const auto& grid = sampling.grid;
  auto y_BCHW = ToExploding(x_BCHW, grid.levels[sampling.first]);
  for (size_t i = sampling.first; i < grid.levels.size(); ++i) {
    const double from = grid.levels[i].sigma(), to = grid.Next(i).sigma();
    const auto x0_BCHW = DenoiseExploding(sampling, y_BCHW, grid.levels[i]).x0_BCHW;
    if (to == 0) {
      y_BCHW = x0_BCHW;
    } else {
      const double sigma = std::sqrt(from * to);  // halfway in log sigma
      const Level middle{.t = sampling.schedule.TimestepOfSigma(sigma), .a = LevelOfSigma(sigma)};
      const auto middle_BCHW =
          KeptExploding(sampling, SdeStep(sampling, y_BCHW, x0_BCHW, from, sigma), i);
      const auto x0_there_BCHW = DenoiseExploding(sampling, middle_BCHW, middle).x0_BCHW;
      y_BCHW = SdeStep(sampling, y_BCHW, x0_there_BCHW, from, to);
    }
    y_BCHW = KeptExploding(sampling, y_BCHW, i);
    sampling.StepDone();
  }
  return y_BCHW;
}

}  // namespace likeness

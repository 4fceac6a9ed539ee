#include <cmath>

#include "worker/diffusion/samplers/samplers.h"

namespace likeness {
namespace {

constexpr double kSigmaData = 0.5;  // 2310.04378, appendix on the boundary condition

}  // namespace

torch::Tensor RunLcm(const Sampling& sampling, torch::Tensor x_BCHW) {
  const auto& levels = sampling.grid.levels;
  for (size_t i = sampling.first; i < levels.size(); ++i) {
    const auto prediction = sampling.denoise(x_BCHW, levels[i]);
    // The consistency function, which is x itself at t = 0.
    const double t = levels[i].t * sampling.settings.timestep_scaling;
    const double spread = t * t + kSigmaData * kSigmaData;
    x_BCHW = t / std::sqrt(spread) * prediction.x0_BCHW + kSigmaData * kSigmaData / spread * x_BCHW;
    if (i + 1 < levels.size()) {
      x_BCHW = levels[i + 1].signal() * x_BCHW + levels[i + 1].noise() * sampling.noise.Draw();
    }
    x_BCHW = sampling.Kept(x_BCHW, i);
    sampling.StepDone();
  }
  return x_BCHW;
}

torch::Tensor RunTcd(const Sampling& sampling, torch::Tensor x_BCHW) {
  const auto& levels = sampling.grid.levels;
  const auto gamma = static_cast<float>(sampling.settings.eta);
  for (size_t i = sampling.first; i < levels.size(); ++i) {
    const bool last = i + 1 == levels.size();
    const double t_next = last ? 0 : levels[i + 1].t;
    // Down to s, below the next timestep, and up again with fresh noise (eq. 13). float32 decides
    // which timestep s is, as in the reference.
    const Level below = sampling.schedule.LevelAt(
        static_cast<int64_t>(std::floor((1 - gamma) * static_cast<float>(t_next))));
    const auto prediction = sampling.denoise(x_BCHW, levels[i]);
    x_BCHW = below.signal() * prediction.x0_BCHW + below.noise() * prediction.eps_BCHW;
    if (gamma > 0 && !last) {
      const double kept = levels[i + 1].a / below.a;
      x_BCHW = std::sqrt(kept) * x_BCHW + std::sqrt(1 - kept) * sampling.noise.Draw();
    }
    x_BCHW = sampling.Kept(x_BCHW, i);
    sampling.StepDone();
  }
  return x_BCHW;
}

}  // namespace likeness

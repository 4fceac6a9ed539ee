#include "worker/training/ema.h"

#include <algorithm>
#include <utility>

namespace likeness {

Ema::Ema(std::vector<torch::Tensor> parameters, double decay)
    : parameters_(std::move(parameters)), decay_(decay) {
  for (const torch::Tensor& parameter : parameters_)
    averages_.push_back(
        parameter.detach().to(torch::kFloat32, /*non_blocking=*/false, /*copy=*/true));
}

void Ema::Update() {
  torch::NoGradGuard no_grad;
  const double n = static_cast<double>(updates_++);
  const double decay = n == 0 ? 0 : std::min(decay_, (1 + n) / (10 + n));
  for (size_t i = 0; i < parameters_.size(); ++i)
    averages_[i].lerp_(parameters_[i].detach().to(torch::kFloat32), 1 - decay);
}

void Ema::Swap() {
  torch::NoGradGuard no_grad;
  exact_.resize(parameters_.size());
  for (size_t i = 0; i < parameters_.size(); ++i) {
    const auto parameter = parameters_[i].detach();
    auto value = parameter.to(torch::kFloat32, /*non_blocking=*/false, /*copy=*/true);
    if (exact_[i].defined()) {
      value = std::exchange(exact_[i], {});
    } else if (parameter.scalar_type() != torch::kFloat32) {
      exact_[i] = averages_[i].clone();
    }
    parameter.copy_(averages_[i]);
    averages_[i].copy_(value);
  }
}

}  // namespace likeness

#include "worker/training/trainable_weights.h"

#include <cmath>

#include "worker/base/error.h"
#include "worker/base/io/mapped_file.h"

namespace likeness {
namespace {

// Lets the parameters compute with other values of their shapes. Allocates nothing.
void Lend(std::vector<torch::Tensor>& parameters,
          const std::vector<torch::Tensor>& values) noexcept {
  for (size_t i = 0; i < parameters.size(); ++i) parameters[i].set_data(values[i]);
}

}  // namespace

TrainableWeights::TrainableWeights(const std::vector<TrainedComponent>& components,
                                   torch::ScalarType compute)
    : components_(components), compute_(compute) {
  torch::NoGradGuard no_grad;
  // All copies are made before the first is lent: when memory ends on the way, the model is as it
  // was.
  std::vector<torch::Tensor> lent;
  for (const TrainedComponent& component : components_) {
    for (const auto& entry : component.module->named_parameters()) {
      names_.push_back(component.name + "/" + entry.key());
      parameters_.push_back(entry.value());
      base_.push_back(parameters_.back().variable_data());
      masters_.push_back(base_.back().to(torch::kFloat32, /*non_blocking=*/false, /*copy=*/true));
      // Nobody computes with the model's own values until they come back.
      if (base_.back().is_cpu()) ReleaseMappedPages(base_.back().data_ptr(), base_.back().nbytes());
      lent.push_back(masters_.back().to(compute_));
    }
  }
  Lend(parameters_, lent);
  for (torch::Tensor& parameter : parameters_) parameter.requires_grad_(true);
}

TrainableWeights::~TrainableWeights() {
  for (torch::Tensor& parameter : parameters_) {
    parameter.mutable_grad().reset();
    parameter.requires_grad_(false);
  }
  Lend(parameters_, base_);
}

std::vector<ParameterGroup> TrainableWeights::Groups() const {
  std::vector<ParameterGroup> groups;
  size_t begin = 0;
  for (const TrainedComponent& component : components_) {
    const size_t end = begin + component.module->parameters().size();
    groups.push_back({.parameters = {parameters_.begin() + begin, parameters_.begin() + end},
                      .learning_rate = component.learning_rate,
                      .masters = {masters_.begin() + begin, masters_.begin() + end}});
    begin = end;
  }
  return groups;
}

void TrainableWeights::CopyMastersToParameters() {
  torch::NoGradGuard no_grad;
  for (size_t i = 0; i < parameters_.size(); ++i) {
    if (!parameters_[i].is_alias_of(masters_[i])) parameters_[i].copy_(masters_[i]);
  }
}

void TrainableWeights::CheckFinite(int64_t step) const {
  torch::NoGradGuard no_grad;
  for (size_t i = 0; i < masters_.size(); ++i) {
    // A sum is not finite if a summand is not, and needs no copy.
    if (std::isfinite(masters_[i].sum().item<float>())) continue;
    throw Error(ErrorKind::kFailedPrecondition,
                names_[i] + " is not finite after step " + std::to_string(step) +
                    ": training diverged; try a lower learning rate");
  }
}

WeightsInDtype::WeightsInDtype(TrainableWeights& weights, torch::ScalarType dtype)
    : weights_(weights) {
  torch::NoGradGuard no_grad;
  std::vector<torch::Tensor> lent;
  for (size_t i = 0; i < weights_.parameters_.size(); ++i) {
    computing_.push_back(weights_.parameters_[i].variable_data());
    lent.push_back(weights_.masters_[i].to(dtype));
  }
  Lend(weights_.parameters_, lent);
}

WeightsInDtype::~WeightsInDtype() { Lend(weights_.parameters_, computing_); }

}  // namespace likeness

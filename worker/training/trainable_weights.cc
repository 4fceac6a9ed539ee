#include "worker/training/trainable_weights.h"

#include "worker/weights/mapped_file.h"

namespace likeness {

TrainableWeights::TrainableWeights(const std::vector<TrainedComponent>& components,
                                   torch::ScalarType compute)
    : components_(components), compute_(compute) {
  torch::NoGradGuard no_grad;
  for (const TrainedComponent& component : components_) {
    for (const auto& entry : component.module->named_parameters()) {
      torch::Tensor parameter = entry.value();
      names_.push_back(component.name + "/" + entry.key());
      parameters_.push_back(parameter);
      base_.push_back(parameter.variable_data());
      masters_.push_back(base_.back().to(torch::kFloat32, /*non_blocking=*/false, /*copy=*/true));
      // Nobody computes with the model's own values until they come back.
      if (base_.back().is_cpu()) ReleaseMappedPages(base_.back().data_ptr(), base_.back().nbytes());
      parameter.set_data(masters_.back().to(compute_));
      parameter.requires_grad_(true);
    }
  }
}

TrainableWeights::~TrainableWeights() {
  for (size_t i = 0; i < parameters_.size(); ++i) {
    parameters_[i].mutable_grad().reset();
    parameters_[i].requires_grad_(false);
    parameters_[i].set_data(base_[i]);
  }
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

WeightsInDtype::WeightsInDtype(TrainableWeights& weights, torch::ScalarType dtype)
    : weights_(weights) {
  torch::NoGradGuard no_grad;
  for (size_t i = 0; i < weights_.parameters_.size(); ++i) {
    computing_.push_back(weights_.parameters_[i].variable_data());
    weights_.parameters_[i].set_data(weights_.masters_[i].to(dtype));
  }
}

WeightsInDtype::~WeightsInDtype() {
  for (size_t i = 0; i < computing_.size(); ++i) weights_.parameters_[i].set_data(computing_[i]);
}

}  // namespace likeness

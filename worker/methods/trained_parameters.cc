#include "worker/methods/trained_parameters.h"

#include <algorithm>
#include <exception>
#include <utility>

#include "worker/nn/mapped_tensor.h"

namespace likeness {

NamedTensors ParametersOf(const torch::nn::Module& module) {
  NamedTensors parameters;
  for (const auto& entry : module.named_parameters()) {
    parameters.emplace_back(entry.key(), entry.value());
  }
  return parameters;
}

void ExchangeValues(std::vector<torch::Tensor>& parameters,
                    const std::vector<torch::Tensor>& values) noexcept {
  for (size_t i = 0; i < parameters.size(); ++i) parameters[i].set_data(values[i]);
}

TrainedParameters::TrainedParameters(const std::vector<TrainedPart>& parts,
                                     torch::ScalarType compute, torch::ScalarType masters,
                                     bool base_in_host_memory)
    : parts_(parts), compute_(compute) {
  torch::NoGradGuard no_grad;
  // All copies are made before the first is lent: when memory ends on the way, the model is as it
  // was.
  std::vector<torch::Tensor> lent;
  for (const TrainedPart& part : parts_) {
    for (const auto& [name, parameter] : part.parameters) {
      names_.push_back(part.name + "/" + name);
      parameters_.push_back(parameter);
      const torch::Tensor own = parameters_.back().variable_data();
      replaced_.push_back(base_in_host_memory && own.scalar_type() == masters);
      const torch::Device copied_to = replaced_.back() ? torch::kCPU : own.device();
      const auto copy = own.to(copied_to, masters, /*non_blocking=*/false, /*copy=*/true);
      base_.push_back(replaced_.back() ? copy : own);
      masters_.push_back(replaced_.back() ? own : copy);
      // Nobody computes with the model's own values until they come back, or are lent.
      if (!replaced_.back()) ReleaseMappedPages(own);
      lent.push_back(masters_.back().to(part.exact ? torch::kFloat32 : compute_));
    }
  }
  ExchangeValues(parameters_, lent);
  for (torch::Tensor& parameter : parameters_) parameter.requires_grad_(true);
}

TrainedParameters::~TrainedParameters() {
  for (torch::Tensor& parameter : parameters_) {
    parameter.mutable_grad().reset();
    parameter.requires_grad_(false);
  }
  try {
    torch::NoGradGuard no_grad;
    for (size_t i = 0; i < base_.size(); ++i) {
      if (replaced_[i]) base_[i] = masters_[i].copy_(base_[i]);
    }
  } catch (const std::exception&) {
    // The device failed. What is not restored stays in host memory, so that no job computes with
    // it unawares: it fails, and drops the model.
  }
  ExchangeValues(parameters_, base_);
}

std::vector<ParameterGroup> TrainedParameters::Groups() const {
  std::vector<ParameterGroup> groups;
  size_t begin = 0;
  for (const TrainedPart& part : parts_) {
    const size_t end = begin + part.parameters.size();
    groups.push_back({.parameters = {parameters_.begin() + begin, parameters_.begin() + end},
                      .learning_rate = part.learning_rate,
                      .masters = {masters_.begin() + begin, masters_.begin() + end}});
    begin = end;
  }
  return groups;
}

void TrainedParameters::CopyMastersToParameters() {
  torch::NoGradGuard no_grad;
  for (size_t i = 0; i < parameters_.size(); ++i) {
    if (!parameters_[i].is_alias_of(masters_[i])) parameters_[i].copy_(masters_[i]);
  }
}

bool TrainedParameters::trains_text_encoders() const {
  return std::any_of(parts_.begin(), parts_.end(),
                     [](const TrainedPart& part) { return part.encodes_text; });
}

void TrainedParameters::FreezeTextEncoders() {
  text_encoders_frozen_ = true;
  auto parameter = parameters_.begin();
  for (const TrainedPart& part : parts_) {
    for (size_t i = 0; i < part.parameters.size(); ++i, ++parameter) {
      if (part.encodes_text) parameter->requires_grad_(false);
    }
  }
}

std::vector<torch::Tensor> TrainedParameters::ToLend(const std::vector<torch::Tensor>& values,
                                                     torch::ScalarType dtype) const {
  std::vector<torch::Tensor> lent;
  for (const TrainedPart& part : parts_) {
    for (size_t i = 0; i < part.parameters.size(); ++i) {
      lent.push_back(values.at(lent.size()).to(part.exact ? torch::kFloat32 : dtype));
    }
  }
  return lent;
}

void TrainedParameters::LendValues(const std::vector<torch::Tensor>& values) {
  std::vector<torch::Tensor> computing;
  for (const torch::Tensor& parameter : parameters_) computing.push_back(parameter.variable_data());
  computing_ = std::move(computing);
  ExchangeValues(parameters_, values);
}

void TrainedParameters::Lend(torch::ScalarType dtype) {
  torch::NoGradGuard no_grad;
  LendValues(ToLend(masters_, dtype));
}

const std::vector<torch::Tensor>& TrainedParameters::BaseBesideMasters() {
  for (size_t i = 0; i < base_.size(); ++i) base_[i] = base_[i].to(masters_[i].device());
  return base_;
}

void TrainedParameters::LendBase() {
  torch::NoGradGuard no_grad;
  LendValues(ToLend(BaseBesideMasters(), compute_));
}

void TrainedParameters::TakeBackBase() noexcept { TrainedParameters::TakeBack(); }

void TrainedParameters::TakeBack() noexcept {
  ExchangeValues(parameters_, computing_);
  computing_.clear();
}

}  // namespace likeness

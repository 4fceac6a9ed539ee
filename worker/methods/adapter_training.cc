#include "worker/methods/adapter_training.h"

#include <algorithm>
#include <cstddef>
#include <utility>

#include "worker/base/error.h"

namespace likeness {

AdapterTraining::AdapterTraining(const std::vector<TrainedPart>& parts,
                                 const std::vector<torch::nn::Module*>& modules,
                                 torch::ScalarType compute)
    : TrainedParameters(parts, compute) {
  for (const torch::nn::Module* module : modules) {
    for (const auto& parameter : module->parameters()) {
      if (!parameter.requires_grad()) frozen_.push_back(parameter);
    }
  }
  for (const auto& parameter : frozen_) base_.push_back(parameter.variable_data());
  ExchangeValues(frozen_, FrozenIn(compute));
}

AdapterTraining::~AdapterTraining() { ExchangeValues(frozen_, base_); }

torch::Tensor AdapterTraining::Master(const std::string& name) const {
  const auto found = std::find(names().begin(), names().end(), name);
  if (found == names().end()) throw Error(ErrorKind::kInternal, name + " is not trained");
  return masters()[found - names().begin()];
}

void AdapterTraining::Lend(torch::ScalarType dtype) {
  const auto lent = FrozenIn(dtype);
  std::vector<torch::Tensor> computing;
  for (const auto& parameter : frozen_) computing.push_back(parameter.variable_data());
  TrainedParameters::Lend(dtype);
  computing_ = std::move(computing);
  ExchangeValues(frozen_, lent);
}

void AdapterTraining::TakeBack() noexcept {
  TrainedParameters::TakeBack();
  ExchangeValues(frozen_, computing_);
  computing_.clear();
}

std::vector<torch::Tensor> AdapterTraining::FrozenIn(torch::ScalarType dtype) const {
  torch::NoGradGuard no_grad;
  std::vector<torch::Tensor> values;
  for (const auto& value : base_) values.push_back(value.to(dtype));
  return values;
}

CombinedTraining::CombinedTraining(std::vector<std::unique_ptr<Attached>> methods)
    : methods_(std::move(methods)) {
  for (const auto& method : methods_) {
    names_.insert(names_.end(), method->names().begin(), method->names().end());
    masters_.insert(masters_.end(), method->masters().begin(), method->masters().end());
  }
}

std::vector<ParameterGroup> CombinedTraining::Groups() const {
  std::vector<ParameterGroup> groups;
  for (const auto& method : methods_) {
    for (ParameterGroup& group : method->Groups()) groups.push_back(std::move(group));
  }
  return groups;
}

bool CombinedTraining::trains_text_encoders() const {
  return std::any_of(methods_.begin(), methods_.end(),
                     [](const auto& method) { return method->trains_text_encoders(); });
}

void CombinedTraining::BeginWith(const std::vector<torch::Tensor>& values) {
  ForEach(values, [](Attached& method, const auto& own) { method.BeginWith(own); });
}

void CombinedTraining::FreezeTextEncoders() {
  for (const auto& method : methods_) method->FreezeTextEncoders();
}

bool CombinedTraining::text_encoders_rest() const {
  return std::all_of(methods_.begin(), methods_.end(),
                     [](const auto& method) { return method->text_encoders_rest(); });
}

void CombinedTraining::CopyMastersToParameters() {
  for (const auto& method : methods_) method->CopyMastersToParameters();
}

void CombinedTraining::BeginStep(const at::Generator& generator) {
  for (const auto& method : methods_) method->BeginStep(generator);
}

void CombinedTraining::EndStep() {
  for (const auto& method : methods_) method->EndStep();
}

void CombinedTraining::Constrain(const std::vector<torch::Tensor>& values) const {
  ForEach(values, [](const Attached& method, const auto& own) { method.Constrain(own); });
}

void CombinedTraining::ForEach(
    const std::vector<torch::Tensor>& values,
    const std::function<void(Attached&, const std::vector<torch::Tensor>&)>& act) const {
  auto begin = values.begin();
  for (const auto& method : methods_) {
    const auto end = begin + static_cast<std::ptrdiff_t>(method->masters().size());
    act(*method, {begin, end});
    begin = end;
  }
}

void CombinedTraining::Lend(torch::ScalarType dtype) {
  std::vector<std::unique_ptr<TrainedInDtype>> lent;
  for (const auto& method : methods_) {
    lent.push_back(std::make_unique<TrainedInDtype>(*method, dtype));
  }
  lent_ = std::move(lent);
}

void CombinedTraining::LendBase() {
  std::vector<std::unique_ptr<BaseAlone>> alone;
  for (const auto& method : methods_) alone.push_back(std::make_unique<BaseAlone>(*method));
  alone_ = std::move(alone);
}

std::vector<Part> DenoisersOf(const Family& model) {
  std::vector<Part> denoisers;
  for (const Part& part : model.Parts()) {
    if (part.role == Role::kDenoiser) denoisers.push_back(part);
  }
  return denoisers;
}

std::vector<torch::nn::Module*> ModulesOf(const std::vector<Part>& parts) {
  std::vector<torch::nn::Module*> modules;
  for (const Part& part : parts) modules.push_back(part.module);
  return modules;
}

}  // namespace likeness

#include "mini/pretrain_optimizer.h"

#include <algorithm>
#include <cmath>

namespace likeness::mini {
namespace {

constexpr char kAdamWSteps[] = "adamw.steps";

bool IsHiddenConvolution(const std::string& name, const torch::Tensor& parameter) {
  const bool spatial = parameter.dim() == 4 && parameter.size(2) > 1;
  return spatial && name.find("conv_in") == std::string::npos &&
         name.find("conv_out") == std::string::npos;
}

// The parameters that go to Muon, or those that do not.
NamedTensors Select(const NamedTensors& parameters, const PretrainOptimizerOptions& options,
                    bool for_muon) {
  NamedTensors selected;
  for (const auto& [name, parameter] : parameters) {
    const bool goes_to_muon =
        options.muon_learning_rate > 0 && IsHiddenConvolution(name, parameter);
    if (goes_to_muon == for_muon) selected.emplace_back(name, parameter);
  }
  return selected;
}

}  // namespace

std::vector<torch::Tensor> TensorsOf(const NamedTensors& named) {
  std::vector<torch::Tensor> tensors;
  for (const auto& [name, tensor] : named) tensors.push_back(tensor);
  return tensors;
}

torch::Tensor Orthogonalize(const torch::Tensor& matrix_MN) {
  const bool tall = matrix_MN.size(0) > matrix_MN.size(1);
  auto x = tall ? matrix_MN.t() : matrix_MN;
  x = x / (x.norm() + 1e-7);
  for (int i = 0; i < 5; ++i) {
    const auto gram = x.mm(x.t());
    x = torch::addmm(x, torch::addmm(gram, gram, gram, -4.7750, 2.0315), x, 3.4445);
  }
  return tall ? x.t() : x;
}

PretrainOptimizer::PretrainOptimizer(const NamedTensors& parameters,
                                     const PretrainOptimizerOptions& options)
    : options_(options),
      matrices_(Select(parameters, options, true)),
      others_(Select(parameters, options, false)),
      adamw_({{.parameters = TensorsOf(others_), .learning_rate = options.adamw_learning_rate}},
             {.beta2 = options.adamw_beta2, .weight_decay = 0}) {
  for (const auto& [name, matrix] : matrices_) momenta_.push_back(torch::zeros_like(matrix));
}

void PretrainOptimizer::Step(double factor) {
  adamw_.Step(factor);
  StepMuon(options_.muon_learning_rate * factor);
}

void PretrainOptimizer::StepMuon(double learning_rate) {
  torch::NoGradGuard no_grad;
  const double keep = options_.muon_momentum;
  for (size_t i = 0; i < matrices_.size(); ++i) {
    auto& weight = matrices_[i].second;
    auto& gradient = weight.mutable_grad();
    if (!gradient.defined()) continue;
    momenta_[i].lerp_(gradient, 1 - keep);
    const auto nesterov = gradient.lerp(momenta_[i], keep);
    const auto update = Orthogonalize(nesterov.reshape({weight.size(0), -1}));
    // Keeps the size of a layer's output changes the same for tall matrices.
    const double scale = std::sqrt(
        std::max(1.0, static_cast<double>(update.size(0)) / static_cast<double>(update.size(1))));
    weight.sub_(update.reshape_as(weight), learning_rate * scale);
    gradient.reset();
  }
}

NamedTensors PretrainOptimizer::State() const {
  NamedTensors state;
  for (size_t i = 0; i < matrices_.size(); ++i) {
    state.emplace_back("optimizer/muon/" + matrices_[i].first, momenta_[i]);
  }
  for (const auto& [name, tensor] : AdamWState()) state.emplace_back("optimizer/" + name, tensor);
  return state;
}

void PretrainOptimizer::Restore(const SafetensorsFile& checkpoint, int64_t steps) {
  torch::NoGradGuard no_grad;
  for (size_t i = 0; i < matrices_.size(); ++i) {
    momenta_[i].copy_(checkpoint.Get("optimizer/muon/" + matrices_[i].first));
  }
  for (auto& [name, tensor] : AdamWState()) {
    const std::string stored = "optimizer/" + name;
    const bool counted = name != kAdamWSteps || checkpoint.Contains(stored);
    tensor.copy_(counted ? checkpoint.Get(stored) : torch::tensor(steps));
  }
}

NamedTensors PretrainOptimizer::AdamWState() const {
  std::vector<std::string> names;
  for (const auto& [name, parameter] : others_) names.push_back(name);
  return adamw_.State(names);
}

}  // namespace likeness::mini

#include "worker/nn/named_activations.h"

#include <algorithm>

namespace likeness {
namespace {

using Tensor = torch::Tensor;

constexpr NamedActivation kActivations[] = {
    {"linear", "linear", nullptr},
    {"relu", "relu", [](const Tensor& x) -> Tensor { return torch::relu(x); }},
    {"swish", "silu", [](const Tensor& x) -> Tensor { return torch::silu(x); }},
    {"leaky_relu", "leakyrelu", [](const Tensor& x) -> Tensor { return torch::leaky_relu(x); }},
    {"elu", "elu", [](const Tensor& x) -> Tensor { return torch::elu(x); }},
    {"tanh", "tanh", [](const Tensor& x) -> Tensor { return torch::tanh(x); }},
    {"sigmoid", "sigmoid", [](const Tensor& x) -> Tensor { return torch::sigmoid(x); }},
    {"celu", "celu", [](const Tensor& x) -> Tensor { return torch::celu(x); }},
    {"gelu", "gelu", [](const Tensor& x) -> Tensor { return torch::gelu(x); }},
    {"hardshrink", "hardshrink", [](const Tensor& x) -> Tensor { return torch::hardshrink(x); }},
    {"hardsigmoid", "hardsigmoid", [](const Tensor& x) -> Tensor { return torch::hardsigmoid(x); }},
    {"hardswish", "hardswish", [](const Tensor& x) -> Tensor { return torch::hardswish(x); }},
    {"hardtanh", "hardtanh", [](const Tensor& x) -> Tensor { return torch::hardtanh(x); }},
    {"logsigmoid", "logsigmoid", [](const Tensor& x) -> Tensor { return torch::log_sigmoid(x); }},
    {"mish", "mish", [](const Tensor& x) -> Tensor { return torch::mish(x); }},
    {"relu6", "relu6", [](const Tensor& x) -> Tensor { return torch::relu6(x); }},
    {"selu", "selu", [](const Tensor& x) -> Tensor { return torch::selu(x); }},
    {"softplus", "softplus", [](const Tensor& x) -> Tensor { return torch::softplus(x); }},
    {"softshrink", "softshrink", [](const Tensor& x) -> Tensor { return torch::softshrink(x); }},
    {"softsign", "softsign", [](const Tensor& x) -> Tensor { return x / (1 + x.abs()); }},
    {"tanhshrink", "tanhshrink", [](const Tensor& x) -> Tensor { return x - x.tanh(); }},
};

const NamedActivation* Find(const char* NamedActivation::*by, std::string_view text) {
  const auto* const found =
      std::find_if(std::begin(kActivations), std::end(kActivations),
                   [&](const NamedActivation& row) { return row.*by == text; });
  return found == std::end(kActivations) ? nullptr : found;
}

}  // namespace

std::span<const NamedActivation> NamedActivations() { return kActivations; }

const NamedActivation* FindActivation(std::string_view name) {
  return Find(&NamedActivation::name, name);
}

const NamedActivation* FindActivationByClass(std::string_view class_name) {
  return Find(&NamedActivation::class_name, class_name);
}

}  // namespace likeness

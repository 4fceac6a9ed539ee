#include "worker/nn/activation.h"

#include <iterator>

#include "worker/base/error.h"

namespace likeness {
namespace {

torch::Tensor Gelu(const torch::Tensor& x) { return torch::gelu(x); }
torch::Tensor TanhGelu(const torch::Tensor& x) { return torch::gelu(x, "tanh"); }
torch::Tensor QuickGelu(const torch::Tensor& x) { return x * torch::sigmoid(1.702 * x); }

constexpr struct {
  const char* name;
  Activation function;
} kEncoderActivations[] = {
    {"gelu", Gelu}, {"gelu_pytorch_tanh", TanhGelu}, {"quick_gelu", QuickGelu}};

}  // namespace

Activation FindActivation(const std::string& name) {
  for (const auto& row : kEncoderActivations) {
    if (name == row.name) return row.function;
  }
  return nullptr;
}

Activation ActivationByName(const std::string& name) {
  if (const Activation function = FindActivation(name)) return function;
  throw Error(ErrorKind::kFailedPrecondition,
              "activation \"" + name + "\" is not supported; it may be " + AllowedActivations());
}

std::string AllowedActivations() {
  std::string names;
  for (const auto& row : kEncoderActivations) {
    if (!names.empty()) names += &row == std::end(kEncoderActivations) - 1 ? " or " : ", ";
    names += row.name;
  }
  return names;
}

torch::Tensor Silu(torch::Tensor x) {
  return torch::GradMode::is_enabled() ? torch::silu(x) : torch::silu_(x);
}

}  // namespace likeness

#include "worker/nn/activation.h"

#include "worker/base/error.h"

namespace likeness {
namespace {

torch::Tensor Gelu(const torch::Tensor& x) { return torch::gelu(x); }
torch::Tensor TanhGelu(const torch::Tensor& x) { return torch::gelu(x, "tanh"); }
torch::Tensor QuickGelu(const torch::Tensor& x) { return x * torch::sigmoid(1.702 * x); }

}  // namespace

Activation ActivationByName(const std::string& name) {
  if (name == "gelu") return Gelu;
  if (name == "gelu_pytorch_tanh") return TanhGelu;
  if (name == "quick_gelu") return QuickGelu;
  throw Error(ErrorKind::kFailedPrecondition,
              "activation \"" + name +
                  "\" is not supported; it may be gelu, gelu_pytorch_tanh or quick_gelu");
}

torch::Tensor Silu(torch::Tensor x) {
  return torch::GradMode::is_enabled() ? torch::silu(x) : torch::silu_(x);
}

}  // namespace likeness

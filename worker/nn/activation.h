// Activation functions by the names that config.json files give them.
#pragma once

#include <torch/torch.h>

#include <string>

namespace likeness {

using Activation = torch::Tensor (*)(const torch::Tensor&);

// "gelu" (exact), "gelu_pytorch_tanh" (its approximation) or "quick_gelu" (x * sigmoid(1.702 x));
// null for any other.
Activation FindActivation(const std::string& name);

// The same. Error: kFailedPrecondition for any other.
Activation ActivationByName(const std::string& name);

// "gelu, gelu_pytorch_tanh or quick_gelu".
std::string AllowedActivations();

// SiLU of a tensor that nobody else holds: overwritten where no gradient will be asked for.
torch::Tensor Silu(torch::Tensor x);

}  // namespace likeness

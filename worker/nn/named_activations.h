// The activation functions that are pure functions of one number, by name. Constants are PyTorch's.
#pragma once

#include <torch/torch.h>

#include <span>
#include <string_view>

namespace likeness {

struct NamedActivation {
  const char* name;        // as in the API, in lower case: "leaky_relu"
  const char* class_name;  // that of PyTorch's module, in lower case: "leakyrelu"
  torch::Tensor (*function)(const torch::Tensor&);  // nullptr: the identity
};

std::span<const NamedActivation> NamedActivations();
// nullptr for one that is not known.
const NamedActivation* FindActivation(std::string_view name);
const NamedActivation* FindActivationByClass(std::string_view class_name);

}  // namespace likeness

// What products with weights and their gradients share: linear layers and convolutions.
#pragma once

#include <torch/torch.h>

#include <optional>

namespace likeness {

// The bias as LibTorch's operators take it: none where it is undefined.
inline std::optional<torch::Tensor> Given(const torch::Tensor& bias) {
  return bias.defined() ? std::optional(bias) : std::nullopt;
}

// In this order. Each is needed for the gradient of the other alone: a frozen weight keeps
// no activation.
inline void SaveOperands(torch::autograd::AutogradContext* context, const torch::Tensor& x,
                         const torch::Tensor& weight, const std::optional<torch::Tensor>& bias) {
  context->save_for_backward(
      {weight.requires_grad() ? x : torch::Tensor(), x.requires_grad() ? weight : torch::Tensor()});
  context->saved_data["biased"] = bias.has_value();
}

// Of a function whose inputs are x, the weight and the bias, in this order.
inline bool NeedsBiasGradient(torch::autograd::AutogradContext* context) {
  return context->saved_data["biased"].toBool() && context->needs_input_grad(2);
}

}  // namespace likeness

// AdamW, Loshchilov & Hutter 1711.05101, step for step as torch.optim.AdamW, with what training a
// diffusion model needs folded in: clipping by global norm, float32 master weights under bfloat16
// compute, several learning rates, state that can be written and read back.
#pragma once

#include <torch/torch.h>

#include <cstdint>
#include <vector>

namespace likeness {

struct AdamWOptions {
  double beta1 = 0.9;
  double beta2 = 0.999;
  double epsilon = 1e-8;
  double weight_decay = 1e-2;
  double max_grad_norm = 1;  // 0: no clipping
};

struct ParameterGroup {
  std::vector<torch::Tensor> parameters;  // leaves whose gradients are read; float32 or bfloat16
  double learning_rate = 0;
  // The float32 weights behind bfloat16 parameters, one each. Empty: the parameters themselves,
  // then float32.
  std::vector<torch::Tensor> masters = {};
};

class AdamW {
 public:
  AdamW(std::vector<ParameterGroup> groups, AdamWOptions options);

  // One update with the gradients that are there; a parameter without a gradient is left alone and
  // its bias correction does not move on, as in torch.optim. Learning rates are the groups' times
  // `schedule_factor`. The gradients are released. Returns their global norm before clipping. A
  // norm that is not finite throws Error(kFailedPrecondition) before anything is changed.
  double Step(double schedule_factor = 1);

  // Global L2 norm of the gradients, accumulated in double.
  double GradNorm() const;
  void ReleaseGradients();

  // What a checkpoint holds beside the weights, in the order of the parameters over all groups: how
  // often each was updated, and both moments (float32, the optimizer's own tensors).
  const torch::Tensor& steps() const { return steps_; }  // int64 [parameters], on the CPU
  const std::vector<torch::Tensor>& first_moments() const { return first_moments_; }
  const std::vector<torch::Tensor>& second_moments() const { return second_moments_; }
  // `steps` may be a single number for all.
  void Restore(const torch::Tensor& steps, const std::vector<torch::Tensor>& first_moments,
               const std::vector<torch::Tensor>& second_moments);

 private:
  std::vector<ParameterGroup> groups_;
  AdamWOptions options_;
  torch::Tensor steps_;
  std::vector<torch::Tensor> first_moments_;
  std::vector<torch::Tensor> second_moments_;
};

}  // namespace likeness

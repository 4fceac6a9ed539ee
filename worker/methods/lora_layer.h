// The update of one layer: LoRA, Hu et al. 2106.09685, section 4.1.
#pragma once

#include <torch/torch.h>

#include <optional>

#include "worker/nn/hookable_layers.h"

namespace likeness {

// y becomes y + scale up(down(x)) while it lives. down: [rank, in], of a convolution
// [rank, in, k, k]; up: [out, rank], of a convolution [out, rank, 1, 1]. The layer outlives this.
class LoraLayer : public LayerHook {
 public:
  LoraLayer(const HookableLayer& layer, torch::Tensor down, torch::Tensor up, double scale);

  // While gradients are on, each input is left out with this probability and the others are scaled
  // up, as peft does; the numbers come from `generator` (CPU), which may be exchanged.
  void DropInputs(double probability, const at::Generator& generator);

  torch::Tensor After(const torch::Tensor& x, torch::Tensor y) override;

 private:
  torch::Tensor Dropped(const torch::Tensor& x);

  torch::Tensor down_, up_;
  std::optional<Conv2dOptions> conv_;
  double scale_;
  double dropout_ = 0;
  at::Generator generator_;
  HookedLayer hooked_;
};

}  // namespace likeness

// Activations that are computed again for the backward pass in place of being kept: Chen et al.
// 1604.06174, as torch.utils.checkpoint, which LibTorch does not have.
#pragma once

#include <torch/torch.h>

#include <functional>
#include <vector>

namespace likeness {

// While one lives, Checkpointed() keeps on this thread, where gradients are on, the inputs alone.
class GradientCheckpointing {
 public:
  // `generator` (CPU): what the computation may draw from, set back for the second time.
  explicit GradientCheckpointing(at::Generator generator);
  ~GradientCheckpointing();
  GradientCheckpointing(const GradientCheckpointing&) = delete;
  GradientCheckpointing& operator=(const GradientCheckpointing&) = delete;

 private:
  at::Generator generator_;
  at::Generator* outer_;
};

// What is computed of some tensors. It may depend on modules' parameters, whose gradients are
// accumulated, and has to outlive the backward pass with all that it refers to.
using Computation = std::function<torch::Tensor(const std::vector<torch::Tensor>&)>;

// computation(inputs).
torch::Tensor Checkpointed(const Computation& computation,
                           const std::vector<torch::Tensor>& inputs);

}  // namespace likeness

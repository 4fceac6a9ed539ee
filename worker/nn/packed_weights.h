// Weights lie in the order that they are computed with while nothing trains them.
#pragma once

#include <torch/torch.h>

#include <vector>

#include "worker/nn/layers.h"

namespace likeness {

// While one lives, linear layers and convolutions compute with packed copies of their weights
// (one_dnn.h).
class PackedWeights {
 public:
  PackedWeights() = default;
  ~PackedWeights();
  PackedWeights(const PackedWeights&) = delete;
  PackedWeights& operator=(const PackedWeights&) = delete;

  // The layers of `module` on the CPU, in dtype, where one_dnn::Computes it. Not those with hooks,
  // which may read weights; nor what is packed already. Their forward then takes x in dtype, is not
  // differentiable, and does not see what is written to the weights. A layer that gets a hook later
  // computes with its own weight again, in its own dtype. What this throws (memory) leaves them
  // usable. The module outlives this.
  void Pack(torch::nn::Module& module, c10::ScalarType dtype);

 private:
  std::vector<LinearImpl*> linears_;
  std::vector<Conv2dImpl*> convolutions_;
};

// Whether `parameter`, one of the module's own, is a weight that has a packed copy.
bool IsPacked(const torch::nn::Module& module, const torch::Tensor& parameter);

}  // namespace likeness

// 3 x 3 convolutions as one matrix product of the weights and the unfolded pixels ("im2col").
// Shapes: B batch, C channels in, O channels out, H W pixels.
#pragma once

#include <torch/torch.h>

namespace likeness {

// Whether that is the quicker way: large weights and few pixels on a CPU. A convolution of oneDNN's
// spends most of its time there on weights, which it brings into an order of its own.
bool UnfoldingPays(const torch::Tensor& x_BCHW, const torch::Tensor& weight_OC33);

// conv2d with a stride of 1 and a padding of 1. Differentiable once. Where the weight is channels
// last, so is what is given back. bias [O], or undefined.
torch::Tensor UnfoldedConvolve(const torch::Tensor& x_BCHW, const torch::Tensor& weight_OC33,
                               const torch::Tensor& bias_O);

}  // namespace likeness

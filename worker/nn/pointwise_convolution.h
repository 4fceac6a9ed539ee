// 1 x 1 convolutions as products of the weights and each picture as it lies. Shapes: B batch, C
// channels in, O channels out, H W pixels.
#pragma once

#include <torch/torch.h>

namespace likeness {

// Whether that is the quicker way: float32 on a CPU. A convolution of oneDNN's first brings what it
// reads into an order of its own.
bool PointwiseProductPays(const torch::Tensor& x_BCHW, const torch::Tensor& weight_OC11);

// conv2d with a stride of 1, without padding. Differentiable once. bias [O], or undefined. The
// result is contiguous; the gradient of x lies as x does.
torch::Tensor PointwiseConvolve(const torch::Tensor& x_BCHW, const torch::Tensor& weight_OC11,
                                const torch::Tensor& bias_O);

}  // namespace likeness

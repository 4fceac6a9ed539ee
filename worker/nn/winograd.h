// 3 x 3 convolutions with fewer multiplications: Winograd's minimal filtering F(4 x 4, 3 x 3)
// (Lavin and Gray, arXiv 1509.09308), a quarter of those of the direct sum. Shapes: B batch, C
// channels in, O channels out, H W pixels.
#pragma once

#include <torch/torch.h>

namespace likeness {

// Whether WinogradConvolve can take these and is the quicker way: float32 on a CPU, 3 x 3 kernels,
// many channels and enough pixels.
bool WinogradPays(const torch::Tensor& x_BCHW, const torch::Tensor& weight_OC33);

// conv2d with a stride of 1 and a padding of 1, to rounding: at most a few times as far from the
// exact sum as the direct way. Differentiable once. bias [O], or undefined.
torch::Tensor WinogradConvolve(const torch::Tensor& x_BCHW, const torch::Tensor& weight_OC33,
                               const torch::Tensor& bias_O);

}  // namespace likeness

// The product that every linear layer is made of.
#pragma once

#include <torch/torch.h>

namespace likeness {

// x W^T + b, differentiable. x [..., in], weight [out, in], bias [out] or undefined. As
// torch::linear, but float32 on the CPU is computed by oneDNN, where torch::linear asks MKL: MKL
// leaves half of a vector unit idle on processors that are not Intel's. So is, without gradients,
// bfloat16 on a CPU with AMX.
torch::Tensor Project(const torch::Tensor& x, const torch::Tensor& weight,
                      const torch::Tensor& bias);

}  // namespace likeness

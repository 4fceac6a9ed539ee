// The operators of oneDNN's that LibTorch has no header for, looked up by their names. None is
// differentiable.
#pragma once

#include <torch/torch.h>

#include <array>
#include <cstdint>
#include <vector>

namespace likeness::one_dnn {

// Whether oneDNN is what layers without gradients are to be computed by: in float32, and in
// bfloat16 where the processor has AMX.
bool Computes(c10::Device device, c10::ScalarType dtype);

// x W^T + b. x [..., in]; weight [out, in], by PackLinear or not; bias [out] or undefined.
torch::Tensor Linear(const torch::Tensor& x, const torch::Tensor& weight,
                     const torch::Tensor& bias);

// The weight of a linear layer in the order that oneDNN computes with, which it would else be
// brought into at each call. Of the same sizes and dtype; opaque, and only for Linear.
torch::Tensor PackLinear(const torch::Tensor& weight);

// A convolution of one group, not dilated, with its weight in such an order. Which one is the best
// depends on the sizes of x; with another, oneDNN may be thirty times as slow.
class PackedConvolution {
 public:
  // weight [out, in, k, k], on the CPU: must stay as it is. dtype: what is computed in.
  PackedConvolution(torch::Tensor weight, c10::ScalarType dtype, int64_t stride, int64_t padding);

  // Packs where x has other sizes than before. x in dtype; bias [out] or undefined. The result's
  // channels are last.
  torch::Tensor Convolve(const torch::Tensor& x_BCHW, const torch::Tensor& bias);

 private:
  void Pack(torch::IntArrayRef x_sizes);

  torch::Tensor weight_, packed_;
  c10::ScalarType dtype_;
  std::array<int64_t, 2> strides_, paddings_;
  std::vector<int64_t> x_sizes_;  // that it is packed for
};

}  // namespace likeness::one_dnn

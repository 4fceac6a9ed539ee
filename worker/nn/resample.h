// Halving and doubling of feature maps (diffusers: Downsample2D, Upsample2D with convolution).
#pragma once

#include <torch/torch.h>

#include <cstdint>

#include "worker/nn/layers.h"

namespace likeness {

// A convolution of stride 2. The autoencoder pads at the right and bottom alone, the UNet all
// around.
class DownsampleImpl : public torch::nn::Module {
 public:
  enum class Padding { kAround, kRightBottom };

  DownsampleImpl(int64_t channels, Padding padding);
  torch::Tensor forward(const torch::Tensor& x_BCHW);

 private:
  Padding padding_;
  Conv2d conv_;
};
TORCH_MODULE(Downsample);

// Nearest neighbour, then a convolution.
class UpsampleImpl : public torch::nn::Module {
 public:
  explicit UpsampleImpl(int64_t channels);
  // size_HW: of the result.
  torch::Tensor forward(const torch::Tensor& x_BCHW, torch::IntArrayRef size_HW);

 private:
  Conv2d conv_;
};
TORCH_MODULE(Upsample);

}  // namespace likeness

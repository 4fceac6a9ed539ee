// The residual block of the UNet and of the autoencoder (diffusers: ResnetBlock2D).
// Shapes: B batch, C channels, H W, E width of the time embedding.
#pragma once

#include <torch/torch.h>

#include <cstdint>

#include "worker/nn/layers.h"

namespace likeness {

struct ResnetBlockOptions {
  int64_t in_channels;
  int64_t out_channels;
  int64_t time_channels = 0;  // E; 0: not conditioned on time
  int64_t groups = 32;
  double eps = 1e-5;
};

class ResnetBlockImpl : public torch::nn::Module {
 public:
  explicit ResnetBlockImpl(ResnetBlockOptions options);

  // time_BE: the embedding after its SiLU; undefined where time_channels is 0.
  torch::Tensor forward(const torch::Tensor& x_BCHW, const torch::Tensor& time_BE = {});

 private:
  torch::nn::GroupNorm norm1_;
  Conv2d conv1_;
  Linear time_emb_proj_ = nullptr;
  torch::nn::GroupNorm norm2_;
  Conv2d conv2_;
  Conv2d conv_shortcut_ = nullptr;  // where the number of channels changes
};
TORCH_MODULE(ResnetBlock);

}  // namespace likeness

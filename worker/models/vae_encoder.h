// The encoder half of the autoencoder; see vae.h.
#pragma once

#include <torch/torch.h>

#include <vector>

#include "worker/nn/attention.h"
#include "worker/nn/layers.h"
#include "worker/nn/resample.h"
#include "worker/nn/resnet_block.h"

namespace likeness {

struct AutoencoderKlOptions;

// Epsilon of every norm of the autoencoder (the UNet's is 1e-5).
inline constexpr double kVaeNormEps = 1e-6;

// resnets.0, attentions.0, resnets.1 at the coarsest level of either half.
class VaeMidBlockImpl : public torch::nn::Module {
 public:
  VaeMidBlockImpl(int64_t channels, int64_t groups);
  torch::Tensor forward(const torch::Tensor& x_BCHW);

 private:
  SpatialAttention attention_;
  ResnetBlock before_, after_;
};
TORCH_MODULE(VaeMidBlock);

// diffusers: DownEncoderBlock2D.
class VaeDownBlockImpl : public torch::nn::Module {
 public:
  struct Options {
    int64_t in_channels, out_channels, layers, groups;
    bool downsample;
  };
  explicit VaeDownBlockImpl(Options options);
  torch::Tensor forward(torch::Tensor x_BCHW);

 private:
  std::vector<ResnetBlock> resnets_;
  Downsample downsample_ = nullptr;  // absent at the last level
};
TORCH_MODULE(VaeDownBlock);

class VaeEncoderImpl : public torch::nn::Module {
 public:
  explicit VaeEncoderImpl(const AutoencoderKlOptions& options);
  // Gives mean and logarithm of the variance before quant_conv, B (2 latent_channels) h w.
  torch::Tensor forward(const torch::Tensor& images_BCHW);

 private:
  Conv2d conv_in_ = nullptr;
  std::vector<VaeDownBlock> down_blocks_;
  VaeMidBlock mid_block_ = nullptr;
  torch::nn::GroupNorm conv_norm_out_ = nullptr;
  Conv2d conv_out_ = nullptr;
};
TORCH_MODULE(VaeEncoder);

}  // namespace likeness

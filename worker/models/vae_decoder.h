// The decoder half of the autoencoder; see vae.h.
#pragma once

#include <torch/torch.h>

#include <vector>

#include "worker/models/vae_encoder.h"

namespace likeness {

// diffusers: UpDecoderBlock2D.
class VaeUpBlockImpl : public torch::nn::Module {
 public:
  struct Options {
    int64_t in_channels, out_channels, layers, groups;
    bool upsample;
  };
  explicit VaeUpBlockImpl(Options options);
  torch::Tensor forward(torch::Tensor x_BCHW);

 private:
  std::vector<ResnetBlock> resnets_;
  Upsample upsample_ = nullptr;  // absent at the last level
};
TORCH_MODULE(VaeUpBlock);

class VaeDecoderImpl : public torch::nn::Module {
 public:
  explicit VaeDecoderImpl(const AutoencoderKlOptions& options);
  // latents_BChw: after post_quant_conv.
  torch::Tensor forward(const torch::Tensor& latents_BChw);

 private:
  Conv2d conv_in_ = nullptr;
  std::vector<VaeUpBlock> up_blocks_;
  VaeMidBlock mid_block_ = nullptr;
  torch::nn::GroupNorm conv_norm_out_ = nullptr;
  Conv2d conv_out_ = nullptr;
};
TORCH_MODULE(VaeDecoder);

}  // namespace likeness

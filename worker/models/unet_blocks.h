// The blocks of one level of the UNet, with or without attention to the text; see unet.h.
// Shapes: B batch, C channels, H W, E width of the time embedding, T tokens, D width.
#pragma once

#include <torch/torch.h>

#include <vector>

#include "worker/nn/resample.h"
#include "worker/nn/resnet_block.h"
#include "worker/nn/transformer_2d.h"

namespace likeness {

// What conditions every block: the time embedding after its SiLU, and the text.
struct UNetConditioning {
  torch::Tensor time_BE;
  torch::Tensor context_BTD;
};

// What the blocks of one level have in common.
struct UNetLevelOptions {
  int64_t in_channels;
  int64_t out_channels;
  int64_t time_channels;
  int64_t layers;
  int64_t groups;
  double eps;
  bool cross_attention;
  Transformer2DOptions attention;  // of out_channels; read where cross_attention
  bool resample;                   // false at the last level of either half
};

// diffusers: DownBlock2D, CrossAttnDownBlock2D.
class UNetDownBlockImpl : public torch::nn::Module {
 public:
  explicit UNetDownBlockImpl(const UNetLevelOptions& options);
  // Appends what each layer gives to `skips`, and returns the last of them.
  torch::Tensor forward(torch::Tensor x_BCHW, const UNetConditioning& conditioning,
                        std::vector<torch::Tensor>& skips);

 private:
  std::vector<Transformer2D> attentions_;  // one a layer, or none
  std::vector<ResnetBlock> resnets_;
  Downsample downsample_ = nullptr;
};
TORCH_MODULE(UNetDownBlock);

// diffusers: UNetMidBlock2DCrossAttn with one layer.
class UNetMidBlockImpl : public torch::nn::Module {
 public:
  explicit UNetMidBlockImpl(const UNetLevelOptions& options);
  torch::Tensor forward(const torch::Tensor& x_BCHW, const UNetConditioning& conditioning);

 private:
  Transformer2D attention_;
  ResnetBlock before_, after_;
};
TORCH_MODULE(UNetMidBlock);

// diffusers: UpBlock2D, CrossAttnUpBlock2D.
class UNetUpBlockImpl : public torch::nn::Module {
 public:
  // skip_channels: of what the layers pop, first to last; one a layer.
  UNetUpBlockImpl(const UNetLevelOptions& options, const std::vector<int64_t>& skip_channels);
  // Pops one of `skips` a layer; then grows to the size of the next of them.
  torch::Tensor forward(torch::Tensor x_BCHW, const UNetConditioning& conditioning,
                        std::vector<torch::Tensor>& skips);

 private:
  std::vector<Transformer2D> attentions_;  // one a layer, or none
  std::vector<ResnetBlock> resnets_;
  Upsample upsample_ = nullptr;
};
TORCH_MODULE(UNetUpBlock);

}  // namespace likeness

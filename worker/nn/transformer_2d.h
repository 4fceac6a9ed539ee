// The transformer between the UNet's residual blocks: places of the feature map attend to each
// other and to the text (diffusers: Transformer2DModel of BasicTransformerBlocks). Shapes: B
// batch, C channels, H W, T = H W places, S text tokens, D width.
#pragma once

#include <torch/torch.h>

#include <cstdint>
#include <vector>

#include "worker/nn/attention.h"
#include "worker/nn/layers.h"

namespace likeness {

// GEGLU, Shazeer 2002.05202: (x W_a) * gelu(x W_b), then back to D. Registers net.0.proj and net.2.
class FeedForwardImpl : public torch::nn::Module {
 public:
  explicit FeedForwardImpl(int64_t width);
  torch::Tensor forward(const torch::Tensor& x_BTD);

 private:
  Linear proj_, out_;
};
TORCH_MODULE(FeedForward);

class TransformerBlockImpl : public torch::nn::Module {
 public:
  TransformerBlockImpl(int64_t width, int64_t context_width, int64_t heads);
  torch::Tensor forward(torch::Tensor x_BTD, const torch::Tensor& context_BSD);

 private:
  torch::nn::LayerNorm norm1_;
  Attention attn1_;
  torch::nn::LayerNorm norm2_;
  Attention attn2_;
  torch::nn::LayerNorm norm3_;
  FeedForward ff_;
};
TORCH_MODULE(TransformerBlock);

struct Transformer2DOptions {
  int64_t channels;
  int64_t context_width;
  int64_t heads;
  int64_t groups = 32;
  int64_t layers = 1;              // transformer blocks
  bool linear_projection = false;  // proj_in and proj_out: linear (SD 2.x), else 1x1 convolutions
};

class Transformer2DImpl : public torch::nn::Module {
 public:
  explicit Transformer2DImpl(Transformer2DOptions options);
  torch::Tensor forward(const torch::Tensor& x_BCHW, const torch::Tensor& context_BSD);

 private:
  torch::Tensor ToTokens(const torch::Tensor& x_BCHW);
  torch::Tensor FromTokens(const torch::Tensor& x_BTC, int64_t height, int64_t width);

  torch::nn::GroupNorm norm_;
  Linear linear_in_ = nullptr, linear_out_ = nullptr;  // either these
  Conv2d conv_in_ = nullptr, conv_out_ = nullptr;      // or these
  std::vector<TransformerBlock> blocks_;
};
TORCH_MODULE(Transformer2D);

}  // namespace likeness

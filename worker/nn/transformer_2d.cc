#include "worker/nn/transformer_2d.h"

#include <vector>

#include "worker/nn/block_list.h"

namespace likeness {

FeedForwardImpl::FeedForwardImpl(int64_t width) : proj_(width, 8 * width), out_(4 * width, width) {
  // The names of diffusers' list: its item 1 is a dropout without parameters.
  auto net = register_module("net", std::make_shared<torch::nn::Module>());
  auto geglu = net->register_module("0", std::make_shared<torch::nn::Module>());
  geglu->register_module("proj", proj_);
  net->register_module("2", out_);
}

torch::Tensor FeedForwardImpl::forward(const torch::Tensor& x_BTD) {
  auto halves = proj_(x_BTD).chunk(2, /*dim=*/-1);
  if (torch::GradMode::is_enabled()) return out_(halves[0] * torch::gelu(halves[1]));
  return out_(torch::gelu(halves[1]).mul_(halves[0]));
}

TransformerBlockImpl::TransformerBlockImpl(int64_t width, int64_t context_width, int64_t heads)
    : norm1_(MakeLayerNorm(width)),
      attn1_(AttentionOptions{.width = width, .context_width = width, .heads = heads}),
      norm2_(MakeLayerNorm(width)),
      attn2_(AttentionOptions{.width = width, .context_width = context_width, .heads = heads}),
      norm3_(MakeLayerNorm(width)),
      ff_(width) {
  register_module("norm1", norm1_);
  register_module("attn1", attn1_);
  register_module("norm2", norm2_);
  register_module("attn2", attn2_);
  register_module("norm3", norm3_);
  register_module("ff", ff_);
}

torch::Tensor TransformerBlockImpl::forward(torch::Tensor x_BTD, const torch::Tensor& context_BSD) {
  // self-attention
  auto normed_BTD = norm1_(x_BTD);
  x_BTD = x_BTD + attn1_(normed_BTD, normed_BTD);
  // cross-attention
  x_BTD = x_BTD + attn2_(norm2_(x_BTD), context_BSD);
  // feed-forward
  return x_BTD + ff_(norm3_(x_BTD));
}

Transformer2DImpl::Transformer2DImpl(Transformer2DOptions options)
    : norm_(MakeGroupNorm(options.groups, options.channels, /*eps=*/1e-6)) {
  for (int64_t i = 0; i < options.layers; ++i) {
    blocks_.emplace_back(options.channels, options.context_width, options.heads);
  }
  const int64_t channels = options.channels;
  register_module("norm", norm_);
  if (options.linear_projection) {
    linear_in_ = register_module("proj_in", Linear(channels, channels));
  } else {
    conv_in_ = register_module("proj_in", PointwiseConv(channels, channels));
  }
  RegisterBlocks(*this, "transformer_blocks", blocks_);
  if (options.linear_projection) {
    linear_out_ = register_module("proj_out", Linear(channels, channels));
  } else {
    conv_out_ = register_module("proj_out", PointwiseConv(channels, channels));
  }
}

torch::Tensor Transformer2DImpl::forward(const torch::Tensor& x_BCHW,
                                         const torch::Tensor& context_BSD) {
  auto tokens_BTC = ToTokens(norm_(x_BCHW));
  for (auto& block : blocks_) tokens_BTC = block(tokens_BTC, context_BSD);
  return x_BCHW + FromTokens(tokens_BTC, x_BCHW.size(2), x_BCHW.size(3));
}

torch::Tensor Transformer2DImpl::ToTokens(const torch::Tensor& x_BCHW) {
  if (linear_in_) return linear_in_(MapToTokens(x_BCHW));
  return MapToTokens(conv_in_(x_BCHW));
}

torch::Tensor Transformer2DImpl::FromTokens(const torch::Tensor& x_BTC, int64_t height,
                                            int64_t width) {
  if (linear_out_) return TokensToMap(linear_out_(x_BTC), height, width);
  return conv_out_(TokensToMap(x_BTC, height, width));
}

}  // namespace likeness

// Multi-head attention, softmax(q k^T / sqrt(d)) v (Vaswani et al. 1706.03762), as diffusers names
// it. Shapes: B batch, T queries, S keys, D width.
#pragma once

#include <torch/torch.h>

#include <cstdint>

#include "worker/nn/layers.h"

namespace likeness {

// q_BTD, k_BSD, v_BSD after their projections; D is split into `heads` parts. Gives BTD.
torch::Tensor MultiHeadAttention(const torch::Tensor& q_BTD, const torch::Tensor& k_BSD,
                                 const torch::Tensor& v_BSD, int64_t heads, bool causal = false);

struct AttentionOptions {
  int64_t width;          // of the queries and the result
  int64_t context_width;  // of what keys and values are made of; = width in self-attention
  int64_t heads;
  bool qkv_bias = false;
};

// Registers to_q, to_k, to_v, to_out.0.
class AttentionImpl : public torch::nn::Module {
 public:
  explicit AttentionImpl(AttentionOptions options);

  torch::Tensor forward(const torch::Tensor& x_BTD, const torch::Tensor& context_BSD);

 protected:
  int64_t heads_;
  Linear to_q_, to_k_, to_v_, to_out_;
};
TORCH_MODULE(Attention);

// The autoencoder's: one head over all places of a feature map, normalised before, added after.
class SpatialAttentionImpl : public AttentionImpl {
 public:
  SpatialAttentionImpl(int64_t channels, int64_t groups, double eps);

  torch::Tensor forward(const torch::Tensor& x_BCHW);

 private:
  torch::nn::GroupNorm group_norm_;
};
TORCH_MODULE(SpatialAttention);

// Between a feature map and its places as tokens, BCHW and B(HW)C. Views of a channels-last map.
torch::Tensor MapToTokens(const torch::Tensor& x_BCHW);
torch::Tensor TokensToMap(const torch::Tensor& x_BTC, int64_t height, int64_t width);

}  // namespace likeness

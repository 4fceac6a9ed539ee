#include "worker/nn/attention.h"

#include <vector>

#include "worker/nn/amx_attention.h"
#include "worker/nn/block_list.h"

namespace likeness {
namespace {

// [B, heads, T, D / heads], as LibTorch's attention wants it.
torch::Tensor SplitHeads(const torch::Tensor& x_BTD, int64_t heads) {
  return x_BTD.unflatten(2, {heads, x_BTD.size(2) / heads}).transpose(1, 2);
}

}  // namespace

torch::Tensor MultiHeadAttention(const torch::Tensor& q_BTD, const torch::Tensor& k_BSD,
                                 const torch::Tensor& v_BSD, int64_t heads, bool causal) {
  if (!causal && AmxAttentionTakes(q_BTD, k_BSD, v_BSD, heads)) {
    return AmxAttention(q_BTD, k_BSD, v_BSD, heads);
  }
  auto mixed = torch::scaled_dot_product_attention(
      SplitHeads(q_BTD, heads), SplitHeads(k_BSD, heads), SplitHeads(v_BSD, heads),
      /*attn_mask=*/{}, /*dropout_p=*/0.0, causal);
  return mixed.transpose(1, 2).flatten(2);
}

AttentionImpl::AttentionImpl(AttentionOptions options)
    : heads_(options.heads),
      to_q_(options.width, options.width, options.qkv_bias),
      to_k_(options.context_width, options.width, options.qkv_bias),
      to_v_(options.context_width, options.width, options.qkv_bias),
      to_out_(options.width, options.width) {
  register_module("to_q", to_q_);
  register_module("to_k", to_k_);
  register_module("to_v", to_v_);
  RegisterBlocks(*this, "to_out", std::vector{to_out_});
}

torch::Tensor AttentionImpl::forward(const torch::Tensor& x_BTD, const torch::Tensor& context_BSD) {
  return to_out_(MultiHeadAttention(to_q_(x_BTD), to_k_(context_BSD), to_v_(context_BSD), heads_));
}

SpatialAttentionImpl::SpatialAttentionImpl(int64_t channels, int64_t groups, double eps)
    : AttentionImpl({.width = channels, .context_width = channels, .heads = 1, .qkv_bias = true}),
      group_norm_(MakeGroupNorm(groups, channels, eps)) {
  register_module("group_norm", group_norm_);
}

torch::Tensor SpatialAttentionImpl::forward(const torch::Tensor& x_BCHW) {
  auto tokens_BTC = MapToTokens(group_norm_(x_BCHW));
  auto mixed_BTC = AttentionImpl::forward(tokens_BTC, tokens_BTC);
  return x_BCHW + TokensToMap(mixed_BTC, x_BCHW.size(2), x_BCHW.size(3));
}

torch::Tensor MapToTokens(const torch::Tensor& x_BCHW) {
  return x_BCHW.permute({0, 2, 3, 1}).flatten(1, 2);
}

torch::Tensor TokensToMap(const torch::Tensor& x_BTC, int64_t height, int64_t width) {
  return x_BTC.unflatten(1, {height, width}).permute({0, 3, 1, 2});
}

}  // namespace likeness

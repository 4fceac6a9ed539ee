// Attention in bfloat16 with gradients on CPUs with AMX. LibTorch's backward pass takes six to
// eight times as long as its forward pass there; this one, the backward pass of FlashAttention-2
// (arXiv 2307.08691), two to three times.
#pragma once

#include <torch/torch.h>

namespace likeness {

// Whether AmxAttention computes these: bfloat16 on a CPU with AMX, and an even width of a head.
bool AmxAttentionTakes(const torch::Tensor& q_BTD, const torch::Tensor& k_BSD,
                       const torch::Tensor& v_BSD, int64_t heads);

// softmax(q k^T / sqrt(D / heads)) v of each head, [B, T, D], as LibTorch computes it. Its
// gradients: sums and weights in float32, rounded as operands of products. Differentiable once.
torch::Tensor AmxAttention(const torch::Tensor& q_BTD, const torch::Tensor& k_BSD,
                           const torch::Tensor& v_BSD, int64_t heads);

}  // namespace likeness

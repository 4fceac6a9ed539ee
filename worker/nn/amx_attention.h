// Attention in bfloat16 on CPUs with AMX, in blocks, as FlashAttention-2 has it (arXiv 2307.08691).
// LibTorch's forward pass takes twice as long there, and its backward pass four times.
#pragma once

#include <torch/torch.h>

namespace likeness {

// Whether AmxAttention computes these: bfloat16 on a CPU with AMX, an even width of a head, a key
// at least, and as many batches of keys as of queries.
bool AmxAttentionTakes(const torch::Tensor& q_BTD, const torch::Tensor& k_BSD,
                       const torch::Tensor& v_BSD, int64_t heads);

// softmax(q k^T / sqrt(D / heads)) v of each head, [B, T, D]. Scores, weights and sums in float32,
// rounded as operands of products. Differentiable once.
torch::Tensor AmxAttention(const torch::Tensor& q_BTD, const torch::Tensor& k_BSD,
                           const torch::Tensor& v_BSD, int64_t heads);

}  // namespace likeness

// Prompts as the text encoder's hidden states.
#pragma once

#include <torch/torch.h>

#include <string>
#include <vector>

namespace likeness {

struct Pipeline;

// Token ids, padded and cut to the tokenizer's length: int64 [B,T] on the pipeline's device.
torch::Tensor TokenizePrompts(const Pipeline& pipeline, const std::vector<std::string>& prompts);

// The text encoder's last hidden state [B,T,D] in the pipeline's dtype. Differentiable where
// gradients are on.
torch::Tensor EncodePrompts(Pipeline& pipeline, const std::vector<std::string>& prompts);

}  // namespace likeness

#include "worker/generation/prompt_encoding.h"

#include "worker/checkpoints/pipeline.h"

namespace likeness {

torch::Tensor TokenizePrompts(const Pipeline& pipeline, const std::vector<std::string>& prompts) {
  std::vector<torch::Tensor> rows;
  for (const auto& prompt : prompts) {
    rows.push_back(torch::tensor(pipeline.tokenizer.EncodePadded(prompt), torch::kInt64));
  }
  return torch::stack(rows).to(pipeline.device);
}

torch::Tensor EncodePrompts(Pipeline& pipeline, const std::vector<std::string>& prompts) {
  return pipeline.text_encoder->Forward(TokenizePrompts(pipeline, prompts));
}

}  // namespace likeness

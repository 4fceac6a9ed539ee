#include "worker/training/prompt_contexts.h"

#include <algorithm>

#include "worker/generation/prompt_encoding.h"

namespace likeness {

PromptContexts::PromptContexts(Pipeline& pipeline, const std::vector<std::string>& prompts,
                               bool trained)
    : pipeline_(pipeline), input_ids_PT_(TokenizePrompts(pipeline, prompts)) {
  if (trained) return;
  torch::NoGradGuard no_grad;
  frozen_PTD_ = pipeline_.text_encoder->Forward(input_ids_PT_);
}

torch::Tensor PromptContexts::For(const std::vector<int64_t>& prompt_of_B) const {
  const auto device = input_ids_PT_.device();
  if (frozen_PTD_.defined())
    return frozen_PTD_.index_select(0, torch::tensor(prompt_of_B).to(device));

  std::vector<int64_t> distinct, row_of_B;
  for (int64_t prompt : prompt_of_B) {
    const auto found = std::find(distinct.begin(), distinct.end(), prompt);
    row_of_B.push_back(found - distinct.begin());
    if (found == distinct.end()) distinct.push_back(prompt);
  }
  const auto ids_RT = input_ids_PT_.index_select(0, torch::tensor(distinct).to(device));
  return pipeline_.text_encoder->Forward(ids_RT).index_select(0,
                                                              torch::tensor(row_of_B).to(device));
}

}  // namespace likeness

#include "worker/training/prompt_contexts.h"

#include <algorithm>
#include <numeric>
#include <utility>

namespace likeness {

PromptContexts::PromptContexts(Family& model, std::vector<std::string> prompts, bool trained)
    : model_(model), prompts_(std::move(prompts)) {
  if (trained) return;
  torch::NoGradGuard no_grad;
  std::vector<int64_t> all(prompts_.size());
  std::iota(all.begin(), all.end(), 0);
  frozen_ = Encode(all);
}

Conditioning PromptContexts::For(const std::vector<int64_t>& prompt_of_N) const {
  if (frozen_) return frozen_->Select(torch::tensor(prompt_of_N).to(model_.device()));

  std::vector<int64_t> distinct, row_of_N;
  for (int64_t prompt : prompt_of_N) {
    const auto found = std::find(distinct.begin(), distinct.end(), prompt);
    row_of_N.push_back(found - distinct.begin());
    if (found == distinct.end()) distinct.push_back(prompt);
  }
  return Encode(distinct).Select(torch::tensor(row_of_N).to(model_.device()));
}

Conditioning PromptContexts::Encode(const std::vector<int64_t>& numbers) const {
  std::vector<Prompt> texts;
  for (const int64_t number : numbers) texts.push_back(prompts_[number]);
  return model_.Encode(texts, {model_.image_size(), model_.image_size()});
}

}  // namespace likeness

#include "worker/training/prompt_contexts.h"

#include <algorithm>
#include <numeric>
#include <utility>

namespace likeness {

PromptContexts::PromptContexts(Family& model, std::vector<std::string> prompts,
                               const std::vector<Geometry>& sizes, bool trained)
    : model_(model), prompts_(std::move(prompts)) {
  if (trained) return;
  torch::NoGradGuard no_grad;
  std::vector<int64_t> all(prompts_.size());
  std::iota(all.begin(), all.end(), 0);
  for (const Geometry& size : sizes) frozen_.push_back({size, Encode(all, size)});
}

Conditioning PromptContexts::For(const std::vector<int64_t>& prompt_of_N,
                                 torch::IntArrayRef shape_NChw) const {
  const Geometry size{shape_NChw[2] * model_.cell(), shape_NChw[3] * model_.cell()};
  for (const Frozen& frozen : frozen_) {
    if (frozen.size.height != size.height || frozen.size.width != size.width) continue;
    return frozen.told.Select(torch::tensor(prompt_of_N).to(model_.device()));
  }

  std::vector<int64_t> distinct, row_of_N;
  for (int64_t prompt : prompt_of_N) {
    const auto found = std::find(distinct.begin(), distinct.end(), prompt);
    row_of_N.push_back(found - distinct.begin());
    if (found == distinct.end()) distinct.push_back(prompt);
  }
  return Encode(distinct, size).Select(torch::tensor(row_of_N).to(model_.device()));
}

Conditioning PromptContexts::Encode(const std::vector<int64_t>& numbers, Geometry size) const {
  std::vector<Prompt> texts;
  for (const int64_t number : numbers) texts.push_back(prompts_[number]);
  return model_.Encode(texts, size);
}

}  // namespace likeness

#include "worker/training/prompt_contexts.h"

#include <algorithm>
#include <numeric>
#include <optional>
#include <utility>

namespace likeness {
namespace {

bool IsSame(Geometry one, Geometry other) {
  return one.height == other.height && one.width == other.width;
}

// Each prompt once, in the order in which they come first, and which of them each sample has.
struct Distinct {
  std::vector<int64_t> prompts, row_of_N;

  explicit Distinct(const std::vector<int64_t>& prompt_of_N) {
    for (const int64_t prompt : prompt_of_N) {
      const auto found = std::find(prompts.begin(), prompts.end(), prompt);
      row_of_N.push_back(found - prompts.begin());
      if (found == prompts.end()) prompts.push_back(prompt);
    }
  }
};

}  // namespace

PromptContexts::PromptContexts(Family& model, std::vector<std::string> prompts,
                               const std::vector<Geometry>& sizes, bool trained)
    : model_(model), prompts_(std::move(prompts)) {
  if (trained) return;
  torch::NoGradGuard no_grad;
  std::vector<int64_t> all(prompts_.size());
  std::iota(all.begin(), all.end(), 0);
  for (const Geometry& size : sizes) {
    if (frozen_.empty()) {
      frozen_.push_back({all, size, Encode(all, size)});
      continue;
    }
    // The text is the same; another size is told as numbers, where it is.
    Told other{all, size, frozen_.front().conditioning};
    auto& numbers_NK = other.conditioning.numbers_NK;
    if (numbers_NK.defined()) {
      numbers_NK = model_.Encode({std::nullopt}, size).numbers_NK.expand_as(numbers_NK);
    }
    frozen_.push_back(std::move(other));
  }
}

Conditioning PromptContexts::For(const std::vector<int64_t>& prompt_of_N,
                                 torch::IntArrayRef shape_NChw) const {
  const Geometry size = SizeOf(shape_NChw);
  for (const Told& told : frozen_) {
    if (!IsSame(told.size, size)) continue;
    return told.conditioning.Select(torch::tensor(prompt_of_N).to(model_.device()));
  }
  const Distinct distinct(prompt_of_N);
  return Encode(distinct.prompts, size)
      .Select(torch::tensor(distinct.row_of_N).to(model_.device()));
}

Conditioning PromptContexts::ForResting(const std::vector<int64_t>& prompt_of_N,
                                        torch::IntArrayRef shape_NChw) {
  if (!frozen_.empty()) return For(prompt_of_N, shape_NChw);
  const Geometry size = SizeOf(shape_NChw);
  const Distinct distinct(prompt_of_N);
  const auto rows_N = torch::tensor(distinct.row_of_N).to(model_.device());
  for (const Told& told : resting_) {
    if (told.prompts == distinct.prompts && IsSame(told.size, size)) {
      return told.conditioning.Select(rows_N);
    }
  }
  const Conditioning conditioning = Encode(distinct.prompts, size);
  if (resting_.size() < kMostResting) resting_.push_back({distinct.prompts, size, conditioning});
  return conditioning.Select(rows_N);
}

Geometry PromptContexts::SizeOf(torch::IntArrayRef shape_NChw) const {
  return {shape_NChw[2] * model_.cell(), shape_NChw[3] * model_.cell()};
}

Conditioning PromptContexts::Encode(const std::vector<int64_t>& prompts, Geometry size) const {
  std::vector<Prompt> texts;
  for (const int64_t prompt : prompts) texts.push_back(prompts_[prompt]);
  return model_.Encode(texts, size);
}

}  // namespace likeness

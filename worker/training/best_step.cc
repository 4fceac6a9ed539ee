#include "worker/training/best_step.h"

#include <algorithm>
#include <utility>

namespace likeness {

void BestStep::Offer(const ScoredStep& scored, const std::vector<torch::Tensor>& masters) {
  const auto before = best();
  scores_.push_back(scored);
  if (before && scored.score <= before->score) return;
  torch::NoGradGuard no_grad;
  masters_.resize(masters.size());
  for (size_t i = 0; i < masters.size(); ++i) {
    if (masters_[i].defined()) {
      masters_[i].copy_(masters[i]);
    } else {
      masters_[i] = masters[i].detach().clone();
    }
  }
}

std::optional<ScoredStep> BestStep::best() const {
  if (scores_.empty()) return std::nullopt;
  return *std::max_element(
      scores_.begin(), scores_.end(),
      [](const ScoredStep& a, const ScoredStep& b) { return a.score < b.score; });
}

int64_t BestStep::SinceBest() const {
  const auto kept = best();
  int64_t since = 0;
  for (const ScoredStep& scored : scores_) {
    if (scored.step > kept->step) ++since;
  }
  return since;
}

void BestStep::Restore(std::vector<ScoredStep> scores, std::vector<torch::Tensor> masters) {
  scores_ = std::move(scores);
  masters_ = std::move(masters);
}

}  // namespace likeness

// The step of a run whose weights make the model, where a score picks it.
#pragma once

#include <torch/torch.h>

#include <cstdint>
#include <optional>
#include <vector>

namespace likeness {

struct ScoredStep {
  int64_t step = 0;  // optimizer steps done
  double score = 0;  // higher is better
};

class BestStep {
 public:
  // After `step` steps what is trained scores `score`. Its weights are copied where it is better
  // than all before; of equal ones the earlier stays.
  void Offer(const ScoredStep& scored, const std::vector<torch::Tensor>& masters);

  // Nothing where no step has been scored.
  std::optional<ScoredStep> best() const;
  const std::vector<ScoredStep>& scores() const { return scores_; }  // in order
  // How many of the latest scores, in a row, are no better than the best one.
  int64_t SinceBest() const;
  // Of the best step, in the order of the masters and of their dtype.
  const std::vector<torch::Tensor>& masters() const { return masters_; }

  // From a checkpoint.
  void Restore(std::vector<ScoredStep> scores, std::vector<torch::Tensor> masters);

 private:
  std::vector<ScoredStep> scores_;
  std::vector<torch::Tensor> masters_;
};

}  // namespace likeness

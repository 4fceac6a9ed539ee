// DreamBooth's loss over a lesson: Ruiz et al. 2208.12242, eq. 2.
#pragma once

#include "worker/families/family.h"
#include "worker/training/lesson.h"
#include "worker/training/loss.h"
#include "worker/training/objective.h"
#include "worker/training/prompt_contexts.h"

namespace likeness {

// Everything that is handed over by reference outlives this.
class DreamBoothObjective : public Objective {
 public:
  // batch_size: pairs of a subject's picture and one of the prior in one forward pass.
  DreamBoothObjective(Family& model, const Lesson& lesson, const PromptContexts& contexts,
                      int64_t batch_size, LossOptions options)
      : model_(model),
        lesson_(lesson),
        contexts_(contexts),
        batch_size_(batch_size),
        options_(options) {}

  torch::Tensor Loss(int64_t pass, at::Generator& generator) override;
  double ScaleOfLoss() const override { return 1 + options_.prior_weight; }

 private:
  Family& model_;
  const Lesson& lesson_;
  const PromptContexts& contexts_;
  int64_t batch_size_;
  LossOptions options_;
};

}  // namespace likeness

// DreamBooth's loss over a lesson: Ruiz et al. 2208.12242, eq. 2.
#pragma once

#include "worker/families/family.h"
#include "worker/training/attached.h"
#include "worker/training/draw_options.h"
#include "worker/training/lesson.h"
#include "worker/training/loss.h"
#include "worker/training/objective.h"
#include "worker/training/prompt_contexts.h"

namespace likeness {

struct DreamBoothOptions {
  int64_t batch_size = 1;  // pairs of a subject's picture and one of the prior in one forward pass
  LossOptions loss;
  DrawOptions draws;
  bool gradient_checkpointing = false;
};

// Where the lesson names class prompts, the prior is what the base predicts: the photos' noisy
// latents go through the network once more with that prompt, and the error is that against the
// prediction of the base alone.
//
// Photos of another size than the class pictures go through the network by themselves. The loss is
// the same sum of two means.
//
// Everything that is handed over by reference outlives this.
class DreamBoothObjective : public Objective {
 public:
  DreamBoothObjective(Family& model, Attached& attached, const Lesson& lesson,
                      PromptContexts& contexts, DreamBoothOptions options)
      : model_(model),
        attached_(attached),
        lesson_(lesson),
        contexts_(contexts),
        options_(options) {}

  torch::Tensor Loss(int64_t pass, at::Generator& generator) override;
  double ScaleOfLoss() const override { return 1 + options_.loss.prior_weight; }

 private:
  // What goes into the network, and what should come out.
  struct Task {
    torch::Tensor noisy_BCHW;
    torch::Tensor timesteps_B;
    std::vector<int64_t> prompt_of_B;
    torch::Tensor canvas_BChw;  // as Conditioning's
    torch::Tensor target_BCHW;
    torch::Tensor weights_B1HW;                           // as Batch's
    std::vector<MicroConditioning> micro_conditioning_B;  // likewise
    std::vector<int64_t> class_prompt_of_B = {};          // as Lesson::Pairs'
  };
  // Draws for the batch, of which the first `photos` samples are the subjects'.
  Task Draw(Batch batch, int64_t photos, at::Generator& generator);
  void AddBasePrediction(Task& task);
  torch::Tensor Predict(const Task& task);
  // `prior_weight`: 0 where the task has no prior half.
  torch::Tensor LossOf(const Task& task, double prior_weight);

  Family& model_;
  Attached& attached_;
  const Lesson& lesson_;
  PromptContexts& contexts_;
  DreamBoothOptions options_;
};

}  // namespace likeness

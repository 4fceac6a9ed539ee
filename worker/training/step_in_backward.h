// The optimizer's step as part of the backward pass (kohya-ss/sd-scripts' fused_backward_pass,
// after LOMO, Lv et al. 2306.09782): each parameter is updated as soon as its gradient is whole,
// and the gradient is released, so that gradients are never in memory together.
#pragma once

#include <torch/torch.h>

#include <cstdint>
#include <vector>

#include "worker/training/optimizer.h"

namespace likeness {

// While one lives, backward passes update the optimizer's parameters, to the same bits as
// Optimizer::Step after them. Gradients cannot be clipped by their norm, which is known when the
// last parameter is updated, and each step is one backward pass. The optimizer outlives this.
class StepInBackward {
 public:
  // kInvalidArgument for an optimizer that clips, or whose updates need all gradients.
  explicit StepInBackward(Optimizer& optimizer);
  ~StepInBackward();
  StepInBackward(const StepInBackward&) = delete;
  StepInBackward& operator=(const StepInBackward&) = delete;

  // Before the step's backward pass. `schedule_factor` as Optimizer::Step's. A parameter that gets
  // two gradients, because layers that are computed again share it, throws Error(kInternal) from
  // the pass.
  void Begin(double schedule_factor);
  // After it. The gradients' global norm; one that is not finite throws as Optimizer::Step does,
  // but the weights have been changed.
  double End();

 private:
  class Hook;
  void Update(size_t index);

  Optimizer& optimizer_;
  std::vector<torch::Tensor> parameters_;
  std::vector<torch::Tensor> norms_;  // of this step's gradients, by parameter; or undefined
  int64_t step_ = 0;
  double schedule_factor_ = 1;
};

}  // namespace likeness

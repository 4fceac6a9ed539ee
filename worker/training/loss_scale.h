// Dynamic loss scaling, Micikevicius et al. 1710.03740, section 3.2, step for step as
// torch.amp.GradScaler: the loss is multiplied by a scale that keeps small gradients within the
// range of 16-bit floats. Gradients that leave the range at its other end halve the scale.
#pragma once

#include <torch/torch.h>

#include <cstdint>

namespace likeness {

class LossScale {
 public:
  static constexpr double kInitial = 65536;
  static constexpr double kGrowth = 2;
  static constexpr double kBackoff = 0.5;
  static constexpr int64_t kGrowthInterval = 2000;  // steps
  // fairseq's --min-loss-scale.
  static constexpr double kLeast = 1e-4;

  LossScale();

  double value() const;
  // How many updates were with gradients that were not finite.
  int64_t skipped_steps() const;

  // After a step: whether its gradients were finite. kGrowthInterval finite ones in a row make the
  // scale larger; one that is not makes it smaller, and has to be skipped. Throws
  // Error(kFailedPrecondition) below kLeast: it is not the scale then. `step`: for the message.
  void Update(bool finite, int64_t step);

  // What a checkpoint holds: float64 [3], the scale, the finite steps since it last changed, and
  // skipped_steps(). To be written to where it is read back.
  const torch::Tensor& state() const { return state_; }

 private:
  torch::Tensor state_;
};

}  // namespace likeness

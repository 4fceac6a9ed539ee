// Prodigy, Mishchenko & Defazio 2306.06101: AdamW that finds the learning rate itself, step for
// step as the prodigyopt package with the settings of diffusers' scripts (decouple,
// use_bias_correction, safeguard_warmup).
#pragma once

#include <string>
#include <vector>

#include "worker/training/optimizer.h"

namespace likeness {

class Prodigy : public Optimizer {
 public:
  // One rate is found: kInvalidArgument where the groups' learning rates are not all the same.
  Prodigy(std::vector<ParameterGroup> groups, OptimizerOptions options);

  bool updates_together() const override { return true; }
  // The estimate d.
  double RateScale() const override;

  // "prodigy.m/NAME", "prodigy.v/NAME": the moments; "prodigy.s/NAME": the gradients' weighted sum;
  // "prodigy.start/NAME": what training began with (float32, or as the weights are);
  // "prodigy.estimate" (float64 [3]: d, its numerator, the number of updates).
  NamedTensors State(const std::vector<std::string>& names) const override;

 protected:
  void Update(const std::vector<Slot>& slots, double grad_scale) override;

 private:
  std::vector<torch::Tensor> first_moments_, second_moments_, sums_, starts_;
  torch::Tensor estimate_;
};

}  // namespace likeness

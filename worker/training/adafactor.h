// Adafactor, Shazeer & Stern 1804.04235, with a given learning rate: step for step as transformers'
// Adafactor with relative_step=False and scale_parameter=False. In place of the second moment of a
// tensor of two dimensions or more it keeps the means over its last dimension and over the last but
// one; there is no first moment.
#pragma once

#include <string>
#include <vector>

#include "worker/training/optimizer.h"

namespace likeness {

class Adafactor : public Optimizer {
 public:
  Adafactor(std::vector<ParameterGroup> groups, OptimizerOptions options);

  // "adafactor.rows/NAME" and "adafactor.columns/NAME", or "adafactor.v/NAME" (float32);
  // "adafactor.steps" (int64 [parameters]).
  NamedTensors State(const std::vector<std::string>& names) const override;

 protected:
  void Update(const std::vector<Slot>& slots, double grad_scale) override;

 private:
  // Squared gradients averaged, 1 / sqrt of them.
  torch::Tensor InverseRoot(size_t index, const torch::Tensor& squares, double kept);

  // Of each parameter the first two or the third; the others are undefined.
  std::vector<torch::Tensor> rows_, columns_, whole_;
};

}  // namespace likeness

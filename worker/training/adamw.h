// AdamW, Loshchilov & Hutter 1711.05101, step for step as torch.optim.AdamW.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "worker/training/optimizer.h"

namespace likeness {

class AdamW : public Optimizer {
 public:
  // Gradients in another dtype than their masters are copied, and let go, as soon as the copies
  // hold as many numbers; on a CPU those that lie in memory as their masters do, in parts of
  // kNumbersInCache.
  static constexpr int64_t kNumbersCopied = int64_t{1} << 24;

  AdamW(std::vector<ParameterGroup> groups, OptimizerOptions options);

  // "adamw.m/NAME", "adamw.v/NAME": both moments (float32); "adamw.steps" (int64 [parameters]).
  NamedTensors State(const std::vector<std::string>& names) const override;

 protected:
  void Update(const std::vector<Slot>& slots, double grad_scale) override;

 private:
  std::vector<torch::Tensor> first_moments_;
  std::vector<torch::Tensor> second_moments_;
};

}  // namespace likeness

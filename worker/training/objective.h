// What the training loop makes smaller.
#pragma once

#include <torch/torch.h>

#include <cstdint>

namespace likeness {

class Objective {
 public:
  virtual ~Objective() = default;

  // The loss of forward pass `pass` (counted over the whole run, from 0), which draws its random
  // numbers from `generator`: a scalar, float32, with a graph where gradients are on.
  virtual torch::Tensor Loss(int64_t pass, at::Generator& generator) = 0;

  // A model that predicts nothing has about this loss.
  virtual double ScaleOfLoss() const = 0;
};

}  // namespace likeness

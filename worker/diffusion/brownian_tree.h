// A Brownian motion whose every value follows from a seed, in whatever order it is asked.
#pragma once

#include <torch/torch.h>

#include <cstdint>
#include <vector>

namespace likeness {

// W over [0, end], W(0) = 0, each element a motion of its own. The value at a time is found by
// halving the interval that holds it: given its ends, the middle is normal, with their mean and a
// quarter of its length as variance (Levy's construction), and is drawn by a generator that the
// seed and the interval decide. Immutable.
class BrownianTree {
 public:
  BrownianTree(uint64_t seed, double end, std::vector<int64_t> shape);

  // W(time), float32 on the CPU; 0 <= time <= end. Between the finest halves, which are 2^-18 of
  // the whole, it runs straight.
  torch::Tensor At(double time) const;

 private:
  torch::Tensor Normal(uint64_t interval) const;

  uint64_t seed_;
  double end_;
  std::vector<int64_t> shape_;
  torch::Tensor at_end_;
};

}  // namespace likeness

// How far a result is from the exact one, for tests.
#pragma once

#include <torch/torch.h>

namespace likeness {

// The norm of the difference over that of `exact`, in float64. Of one shape.
inline double RelativeError(const torch::Tensor& actual, const torch::Tensor& exact) {
  TORCH_CHECK(actual.sizes() == exact.sizes());
  const auto wide = exact.to(torch::kFloat64);
  return ((actual.to(torch::kFloat64) - wide).norm() / wide.norm()).item<double>();
}

}  // namespace likeness

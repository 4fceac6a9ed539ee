#include "worker/diffusion/trajectory.h"

#include <cmath>

#include "worker/base/error.h"

namespace likeness {

void CheckSteps(int steps, int most) {
  if (steps >= 1 && steps <= most) return;
  throw Error(ErrorKind::kInvalidArgument, "steps is " + std::to_string(steps) +
                                               "; allowed: 1 to " + std::to_string(most) +
                                               " with this sampler and model");
}

// std::nearbyint rounds halves to even numbers, as numpy.round does.
std::vector<int64_t> LinspaceTimesteps(int64_t last, int count) {
  const double step = count > 1 ? static_cast<double>(last) / (count - 1) : 0;
  std::vector<int64_t> timesteps;
  for (int k = count - 1; k >= 0; --k) {
    const bool exact = k == count - 1 && count > 1;  // numpy sets the end
    timesteps.push_back(exact ? last : std::llrint(std::nearbyint(k * step)));
  }
  return timesteps;
}

std::vector<int64_t> LeadingTimesteps(int64_t stride, int count, int64_t offset) {
  std::vector<int64_t> timesteps;
  for (int64_t k = count - 1; k >= 0; --k) timesteps.push_back(k * stride + offset);
  return timesteps;
}

std::vector<int64_t> TrailingTimesteps(int64_t total, int count) {
  const auto first = static_cast<double>(total);
  // numpy.arange takes the difference of its first two numbers, which is not exactly the stride;
  // where a sum lies halfway between two timesteps, that decides.
  const double delta = (first - first / count) - first;
  std::vector<int64_t> timesteps;
  for (int k = 0; k < count; ++k) {
    timesteps.push_back(std::llrint(std::nearbyint(first + k * delta)) - 1);
  }
  return timesteps;
}

}  // namespace likeness

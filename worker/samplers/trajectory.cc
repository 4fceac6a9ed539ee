#include "worker/samplers/trajectory.h"

#include "worker/base/error.h"

namespace likeness {

void CheckSteps(int steps, int most) {
  if (steps >= 1 && steps <= most) return;
  throw Error(ErrorKind::kInvalidArgument, "steps is " + std::to_string(steps) +
                                               "; allowed: 1 to " + std::to_string(most) +
                                               " with this sampler and model");
}

}  // namespace likeness

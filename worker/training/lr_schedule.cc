#include "worker/training/lr_schedule.h"

#include <algorithm>
#include <cmath>
#include <numbers>

#include "worker/base/error.h"

namespace likeness {

double LrFactor(const LrScheduleOptions& options, int64_t step) {
  if (step < options.warmup_steps) return static_cast<double>(step) / options.warmup_steps;
  if (options.decay == LrDecay::kConstant) return 1;
  const double decaying = std::max<int64_t>(1, options.total_steps - options.warmup_steps);
  const double done = std::min(1.0, (step - options.warmup_steps) / decaying);
  if (options.decay == LrDecay::kLinear) return 1 - done;
  return 0.5 * (1 + std::cos(std::numbers::pi * done));
}

LrDecay ParseLrDecay(const std::string& name) {
  for (LrDecay decay : {LrDecay::kConstant, LrDecay::kCosine, LrDecay::kLinear}) {
    if (name == LrDecayName(decay)) return decay;
  }
  throw Error(ErrorKind::kInvalidArgument, "learning-rate schedule \"" + name +
                                               "\" is not known; constant, cosine and linear are");
}

const char* LrDecayName(LrDecay decay) {
  switch (decay) {
    case LrDecay::kConstant:
      return "constant";
    case LrDecay::kCosine:
      return "cosine";
    case LrDecay::kLinear:
      return "linear";
  }
  return "constant";
}

}  // namespace likeness

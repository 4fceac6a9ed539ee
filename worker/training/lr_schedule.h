// Learning-rate schedules, as diffusers' get_scheduler defines them.
#pragma once

#include <cstdint>
#include <string>

namespace likeness {

enum class LrDecay { kConstant, kCosine, kLinear, kPolynomial, kCosineWithRestarts };

// What the polynomial schedule ends with, a learning rate.
inline constexpr double kPolynomialEnd = 1e-7;

struct LrScheduleOptions {
  LrDecay decay = LrDecay::kConstant;
  int64_t warmup_steps =
      0;  // linear from 0: the first step of a warm-up has factor 0, as in diffusers
  int64_t total_steps = 0;   // all but constant end here
  double learning_rate = 0;  // read by kPolynomial; above kPolynomialEnd
  int64_t cycles = 1;        // read by kCosineWithRestarts
};

// What the learning rate is multiplied by at optimizer step `step` (from 0).
double LrFactor(const LrScheduleOptions& options, int64_t step);

// "constant", "cosine", "linear", "polynomial", "cosine_with_restarts"; anything else throws
// Error(kInvalidArgument).
LrDecay ParseLrDecay(const std::string& name);
const char* LrDecayName(LrDecay decay);

}  // namespace likeness

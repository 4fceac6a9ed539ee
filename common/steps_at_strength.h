// How many steps a picture is drawn in that begins with another one.
#pragma once

#include <algorithm>
#include <cmath>

namespace likeness {

// Of `steps`, at a strength above 0 and at most 1: the share that it says, rounded down as
// diffusers does; 0 where it leaves none. 1 / steps is one step, whatever its rounding makes of it.
inline int StepsAtStrength(int steps, double strength) {
  const int least = strength < 1.0 / steps ? 0 : 1;
  return std::max(static_cast<int>(steps * strength), least);
}

// The least strength that leaves a step, rounded up to six digits, for messages.
inline double LeastStrength(int steps) { return std::ceil(1e6 / steps) / 1e6; }

}  // namespace likeness

// Pairs of pictures of which it is known by construction how much alike their subjects are: what
// measures of likeness are held against.
#pragma once

#include <cstdint>
#include <vector>

#include "mini/world.h"

namespace likeness::mini {

// What tells the second subject from the first.
enum class Difference {
  kView,        // nothing: the same subject, in another place and light
  kAccessory,   // nothing but what it wears
  kProportion,  // its proportions
  kPattern,
  kColour,    // of its body
  kInstance,  // all but the class
  kClass,     // that too
};
inline constexpr int kDifferences = 7;
const char* Name(Difference difference);

struct Pair {
  Difference difference;
  Depiction first, second;
};

// Pair `index` of a fixed list; every kDifferences of them have one of each difference. The first
// subjects are held out from pretraining; both are seen in scenes and views of their own.
Pair DrawPair(uint32_t index);

}  // namespace likeness::mini

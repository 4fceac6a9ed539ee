// Comparisons of which it is known by construction which of two pictures is further from a third:
// the further one differs from the reference in all that the nearer one does, and in more. Besides,
// each of the two has a jitter of its own, which is to count for less than any of that: it lies up
// to 2 pixels elsewhere each way and is up to 6 % lighter or darker. What a distance between
// pictures is trained and measured by.
#pragma once

#include <cstdint>

#include "mini/world.h"

namespace likeness::mini {

// What the further picture has more of.
enum class Change {
  // What is done to a picture: the nearer one has less of the same.
  kNoise,
  kBlur,
  kShift,
  kTint,
  // What is drawn: the nearer one may have others of these.
  kView,
  kScenery,  // the same scene, its parts elsewhere
  kScene,
  kAccessory,
  kProportion,
  kPattern,
  kColour,  // of the body
  kClass,
};
inline constexpr int kChanges = 12;
const char* Name(Change change);
// Whether the change is in what is drawn.
inline bool IsDrawn(Change change) { return change >= Change::kView; }

struct Comparison {
  Change change;
  Image reference, nearer, further;
};

// Comparison `index` of a list that is fixed by `first_seed`; every kChanges of them have one of
// each change. The reference shows the identity of seed `first_seed` + `index`.
Comparison DrawComparison(uint64_t first_seed, uint32_t index);

}  // namespace likeness::mini

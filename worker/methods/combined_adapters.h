// The changes of several adapters as one.
#pragma once

#include "worker/methods/method.h"

namespace likeness {

enum class Combination {
  kSum,
  // Column by column of a layer's change, which is what one input adds to all outputs: without what
  // is parallel to the same column of the sum of those before. Columns that point the same way
  // disturb each other in a sum, orthogonal ones do not (ZipLoRA, Shah et al. 2311.13600, section
  // 3.2, which learns how much of each column to keep; this is a projection, with nothing learned).
  kOrthogonal,
};

class CombinedAdapters {
 public:
  explicit CombinedAdapters(Combination combination) : combination_(combination) {}

  // The first keeps its change whole. Words are all kept.
  void Add(const MergedAdapters& adapter);

  const MergedAdapters& merged() const { return merged_; }
  // Of the squared changes of all adapters but the first, the share that is parallel, column by
  // column, to those before: what kOrthogonal leaves out, and what meets in a kSum. 0 to 1.
  double overlap() const { return squared_ > 0 ? parallel_ / squared_ : 0; }

 private:
  Combination combination_;
  MergedAdapters merged_;
  bool is_first_ = true;
  double squared_ = 0, parallel_ = 0;
};

}  // namespace likeness

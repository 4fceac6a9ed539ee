// How far pictures of one prompt are from each other.
#pragma once

#include <functional>
#include <vector>

#include "worker/base/image.h"
#include "worker/evaluation/evaluators.h"

namespace likeness {

// The LPIPS distances of all pairs, every pair once, no picture with itself. The pictures are of
// one size, of at least kLpipsSmallestSide. Calls `on_pair` after each pair and `on_picture` after
// the pairs of each picture; what they throw ends it.
std::vector<double> DistancesOfPairs(const std::vector<const Image*>& pictures,
                                     LpipsEvaluator& lpips, const std::function<void()>& on_pair,
                                     const std::function<void()>& on_picture);

}  // namespace likeness

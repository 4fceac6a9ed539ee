// How far apart the levels of noise lie.
#pragma once

#include <vector>

#include "common/sampler_names.h"

namespace likeness {

// `count` of them from `most` down to `least`. With one, `most`. Not for kTimesteps.
std::vector<double> SpreadSigmas(SigmaSchedule schedule, double most, double least, int count);

// The x at which the cumulated beta distribution with alpha = beta = 0.6 is p; both from 0 to 1.
double BetaQuantile(double p);

}  // namespace likeness

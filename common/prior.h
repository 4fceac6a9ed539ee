// Prior preservation as a job asks for it.
#pragma once

#include "likeness/v1/fine_tune.pb.h"

namespace likeness {

inline bool IsBasePrediction(const v1::Prior& prior) {
  return prior.kind() == v1::PRIOR_KIND_BASE_PREDICTION;
}

// Whether images of the class are learned beside the photos. `prior`: with a weight, as resolved.
inline bool UsesClassImages(const v1::Prior& prior) {
  return prior.weight() > 0 && !IsBasePrediction(prior);
}

// Whether they are drawn, and not brought.
inline bool DrawsClassImages(const v1::Prior& prior) {
  return UsesClassImages(prior) && prior.class_photos().empty();
}

}  // namespace likeness

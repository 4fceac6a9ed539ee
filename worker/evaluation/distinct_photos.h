// Photos that are told apart by their pixels.
#pragma once

#include <vector>

#include "worker/base/image.h"

namespace likeness {

// Without those that are there twice: a photo compared with itself says nothing.
std::vector<const Image*> Distinct(const std::vector<const Image*>& photos);

// Those of `gallery` that are none of the photos: a photo is no look-alike of the subject.
std::vector<const Image*> LookAlikes(const std::vector<const Image*>& gallery,
                                     const std::vector<const Image*>& photos);

}  // namespace likeness

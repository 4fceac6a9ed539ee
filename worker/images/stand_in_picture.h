// What a rehearsal shows in place of a picture that a model would have drawn.
#pragma once

#include <cstdint>
#include <string>

#include "worker/base/image.h"

namespace likeness {

// A coloured field with "REHEARSAL", the seed and the prompt on it. The same arguments give the
// same pixels, other prompts and seeds another colour. `width` and `height` in pixels, from 1.
Image DrawStandIn(const std::string& prompt, uint32_t seed, int width, int height);

}  // namespace likeness

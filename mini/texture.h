// The pattern of an identity as a sheet of colour that its body parts are cut from.
#pragma once

#include <opencv2/core.hpp>

#include "mini/world.h"

namespace likeness::mini {

cv::Mat3b BodyTexture(const Identity& identity);

}  // namespace likeness::mini

// The ten places, without a subject.
#pragma once

#include <opencv2/core.hpp>

#include "mini/world.h"

namespace likeness::mini {

// kDrawingSize x kDrawingSize, R G B.
cv::Mat3b DrawScene(Scene scene, Random& random);

}  // namespace likeness::mini

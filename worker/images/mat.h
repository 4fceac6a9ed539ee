// Between Image and OpenCV's matrix, for the sources of this room. Channels stay R G B.
#pragma once

#include <opencv2/core.hpp>

#include "worker/base/image.h"

namespace likeness {

// A view: lives no longer than `image`, and must not be written to.
inline cv::Mat3b ConstView(const Image& image) {
  auto* pixels = reinterpret_cast<cv::Vec3b*>(const_cast<uint8_t*>(image.rgb.data()));
  return {image.height, image.width, pixels};
}

inline Image ToImage(const cv::Mat3b& mat) {
  cv::Mat3b whole = mat.isContinuous() ? mat : mat.clone();
  return {whole.cols, whole.rows, {whole.data, whole.data + 3 * whole.total()}};
}

}  // namespace likeness

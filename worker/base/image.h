// A decoded picture, shared by the rooms that know LibTorch and those that know OpenCV.
#pragma once

#include <cstdint>
#include <vector>

namespace likeness {

// 8-bit sRGB, row-major, channels R G B, no padding: rgb.size() == width * height * 3.
struct Image {
  int width = 0;
  int height = 0;
  std::vector<uint8_t> rgb;
};

}  // namespace likeness

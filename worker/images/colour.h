// From the colours of a file to sRGB.
#pragma once

#include <opencv2/core.hpp>
#include <string>

#include "worker/images/decoded_file.h"

namespace likeness {

// 65535 becomes 255; 8 bits stay.
cv::Mat ToEightBits(const cv::Mat& pixels);

struct SrgbPixels {
  cv::Mat3b rgb;
  // What the colours were converted from, in the profile's own words ("Display P3"); empty where
  // there was nothing to convert.
  std::string converted_from;
  bool profile_unusable = false;  // it is damaged or of another kind of colours; it was ignored
};

// The colours of `file` in sRGB, rounded to 8 bits; alpha is left alone. Without a profile grey and
// R G B are taken as sRGB, and C M Y K by the plain formula.
SrgbPixels ToSrgb(const DecodedFile& file);

}  // namespace likeness

// From an Image to the bytes of a file.
#pragma once

#include <string>

#include "worker/base/image.h"

namespace likeness {

// Both throw Error (kInternal) for an empty image.
std::string EncodePng(const Image& image);
std::string EncodeJpeg(const Image& image, int quality = 92);  // 1..100

}  // namespace likeness

// From the bytes of a JPEG, PNG or WebP file to an Image.
#pragma once

#include <string_view>

#include "worker/base/image.h"

namespace likeness {

// The picture upright (its EXIF orientation applied), with alpha laid over white, grey as equal
// channels, 16 bits rounded to 8. Colour profiles are not applied: pixels are taken as sRGB.
//
// The declared size is checked before a pixel is decoded. Throws Error (kInvalidArgument) for zero
// bytes, what is not a picture, a format that is not supported (named where known: HEIC, GIF, ...),
// an animated, truncated or corrupt file, a side below 32 px or above 16,384 px, and too many
// pixels; common/image_header.h holds the limits.
Image DecodePhoto(std::string_view bytes);

}  // namespace likeness

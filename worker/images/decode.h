// From the bytes of a JPEG, PNG or WebP file to an Image.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "worker/base/image.h"

namespace likeness {

struct DecodedPhoto {
  Image image;
  std::optional<Image> opacity;       // its alpha as a grey picture, 255: opaque; none where all is
  std::string converted_from;         // what the colours were converted from: "Display P3"
  std::vector<std::string> warnings;  // what is odd about the file, for people
};

// The picture upright (its EXIF orientation applied), in sRGB (by its ICC profile; taken as sRGB
// without one), with alpha laid over white, grey as equal channels, 16 bits rounded to 8.
//
// The declared size is checked before a pixel is decoded. Throws Error (kInvalidArgument) for zero
// bytes, what is not a picture, a format that is not supported (named where known: HEIC, GIF, ...),
// an animated, truncated, damaged or corrupt file, a side below 32 px or above 16,384 px, and too
// many pixels; common/image_header.h holds the limits. What the decoders say goes to the log.
DecodedPhoto DecodePhoto(std::string_view bytes);

// OpenCV's own lines on stderr are dropped; what goes wrong is told by errors. First thing in main.
void SilenceImageLibraries();

}  // namespace likeness

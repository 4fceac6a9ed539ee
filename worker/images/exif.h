// The one EXIF tag that changes what a picture shows.
#pragma once

#include <string_view>

namespace likeness {

// Orientation (tag 0x0112) of a JPEG, PNG or WebP file, 1..8; 1, upright, when the file does not
// say or says nonsense.
int ExifOrientation(std::string_view file);

}  // namespace likeness

// The one EXIF tag that changes what a picture shows.
#pragma once

#include "absl/strings/string_view.h"

namespace likeness {

// Orientation (EXIF 2.32, tag 0x0112) of a JPEG, PNG or WebP file, 1 to 8; 1, upright, when the
// file does not say or says nonsense.
int ExifOrientation(absl::string_view file);

}  // namespace likeness

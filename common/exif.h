// The one EXIF tag that changes what a picture shows, and how large that makes it.
#pragma once

#include <cstdint>
#include <utility>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace likeness {

// Orientation (EXIF 2.32, tag 0x0112) of a JPEG, PNG or WebP file, 1 to 8; 1, upright, when the
// file does not say or says nonsense.
int ExifOrientation(absl::string_view file);

// Width and height, in pixels as declared, of the picture when it is upright. Errors as
// ReadImageHeader's (common/image_header.h).
absl::StatusOr<std::pair<int64_t, int64_t>> UprightSize(absl::string_view file);

}  // namespace likeness

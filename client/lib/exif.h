// The one fact of a JPEG file's EXIF data that a person wants to be told.
#pragma once

#include "absl/strings/string_view.h"

namespace likeness::client {

// The orientation tag, 1 to 8 (EXIF 2.32, tag 0x0112); 1, upright, when there is none or it cannot
// be read.
int ExifOrientation(absl::string_view jpeg);

}  // namespace likeness::client

// The parts that JPEG, PNG and WebP files are made of, found without decoding a pixel. Every reader
// here is bounded by the file: a length that leads out of it ends the search.
#pragma once

#include <cstdint>

#include "absl/strings/string_view.h"

namespace likeness {

// What follows `prefix` in the first segment of `marker` (0xE1: APP1) that begins with it, before
// the scans; empty without one (ITU T.81, annex B).
absl::string_view JpegSegment(absl::string_view file, uint8_t marker, absl::string_view prefix);

// The data of the first chunk of a type, cut where the file ends; empty without one.
absl::string_view PngChunk(absl::string_view file, absl::string_view type);
absl::string_view WebpChunk(absl::string_view file, absl::string_view type);

}  // namespace likeness

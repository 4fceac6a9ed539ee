// JPEG files read with libjpeg-turbo by itself: OpenCV decodes with it too, but lets damage pass
// with a line on stderr.
#pragma once

#include <functional>
#include <string>
#include <string_view>

#include "absl/status/status.h"

namespace likeness {

struct JpegFacts {
  int skipped_bytes = 0;           // that belong to no pixel: padding, or bits that flipped
  bool inks_are_inverted = false;  // Adobe's programs store them so
  std::string colour_profile;      // ICC; empty: none
  bool profile_unusable = false;   // there is one, but it cannot be had
};

// Where the pixels go: 1 (grey), 3 (R G B) or 4 (C M Y K, as stored) bytes each.
class JpegRows {
 public:
  virtual ~JpegRows() = default;
  virtual void Begin(int width, int height, int channels) = 0;
  virtual unsigned char* Row(int y) = 0;  // room for one row
};

// Decodes a file that passed CheckPhoto (image_header.h). INVALID_ARGUMENT (PHOTO_DAMAGED) if some
// of the pixels are not in the file, or not those that were taken, or if it cannot be decoded at
// all. `log` is told what the library says. Thread-safe.
absl::Status ReadWholeJpeg(std::string_view file, JpegRows& rows,
                           const std::function<void(const char* line)>& log, JpegFacts* facts);

}  // namespace likeness

// What an image file declares, read without decoding it: enough to refuse a bad photo where no
// image library is linked. Pixels that are garbled within a JPEG or WebP are found by a decoder
// alone.
#pragma once

#include <cstdint>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace likeness {

enum class ImageFormat { kJpeg, kPng, kWebp };

struct ImageHeader {
  ImageFormat format;
  int64_t width = 0;   // pixels, as declared
  int64_t height = 0;  // pixels, as declared
  bool animated = false;
  bool complete = false;  // the file reaches its declared end, and so does each of its parts
  bool damaged = false;   // a part is not what its checksum says; PNG alone has any
};

inline constexpr int kMinPhotoSide = 32;
inline constexpr int kMaxPhotoSide = 16384;
inline constexpr int64_t kMaxPhotoPixels = 100'000'000;
// A larger ICC profile is not used: those of cameras and screens have some kilobytes.
inline constexpr unsigned kMaxProfileBytes = 4 << 20;

// INVALID_ARGUMENT with reason PHOTO_EMPTY, PHOTO_UNSUPPORTED_FORMAT (the message names HEIC, GIF,
// ... if known), PHOTO_NOT_AN_IMAGE or PHOTO_TRUNCATED.
absl::StatusOr<ImageHeader> ReadImageHeader(absl::string_view bytes);

// Whether a file can be a Photo. Beyond the above: PHOTO_TRUNCATED (the file, or a part of it, ends
// early), PHOTO_DAMAGED (a checksum), PHOTO_ANIMATED, PHOTO_TOO_SMALL, PHOTO_TOO_LARGE (declared
// size).
absl::Status CheckPhoto(absl::string_view bytes);

}  // namespace likeness

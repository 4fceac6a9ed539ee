#include "common/exif.h"

#include "absl/strings/match.h"
#include "absl/strings/strip.h"
#include "common/byte_order.h"
#include "common/image_chunks.h"
#include "common/image_header.h"
#include "common/status_macros.h"

namespace likeness {
namespace {

constexpr absl::string_view kExifPrefix("Exif\0\0", 6);

// TIFF 6.0: byte order, 42, offset of the first directory; a directory is a count and entries of
// twelve bytes: tag, type, count, value.
int OrientationOfTiff(absl::string_view tiff) {
  constexpr uint32_t kOrientation = 0x0112, kLong = 4;
  const bool little = absl::StartsWith(tiff, "II");
  if (!little && !absl::StartsWith(tiff, "MM")) return 1;
  const auto number = little ? &LittleEndian : &BigEndian;
  const size_t directory = number(tiff, 4, 4);
  const uint32_t entries = number(tiff, directory, 2);
  for (uint32_t i = 0; i < entries; ++i) {
    const size_t entry = directory + 2 + 12 * static_cast<size_t>(i);
    if (number(tiff, entry, 2) != kOrientation) continue;
    // SHORT by the standard; some writers make it a LONG.
    const uint32_t value = number(tiff, entry + 8, number(tiff, entry + 2, 2) == kLong ? 4 : 2);
    return value >= 1 && value <= 8 ? static_cast<int>(value) : 1;
  }
  return 1;
}

}  // namespace

int ExifOrientation(absl::string_view file) {
  if (absl::StartsWith(file, "\xFF\xD8")) {
    return OrientationOfTiff(JpegSegment(file, 0xE1, kExifPrefix));
  }
  if (absl::StartsWith(file, "\x89PNG")) return OrientationOfTiff(PngChunk(file, "eXIf"));
  if (absl::StartsWith(file, "RIFF")) {
    // Some writers keep JPEG's prefix.
    return OrientationOfTiff(absl::StripPrefix(WebpChunk(file, "EXIF"), kExifPrefix));
  }
  return 1;
}

absl::StatusOr<std::pair<int64_t, int64_t>> UprightSize(absl::string_view file) {
  ASSIGN_OR_RETURN(const ImageHeader header, ReadImageHeader(file));
  if (ExifOrientation(file) > 4) return std::pair(header.height, header.width);
  return std::pair(header.width, header.height);
}

}  // namespace likeness

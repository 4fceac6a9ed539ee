#include "worker/images/exif.h"

#include <cstddef>
#include <cstdint>

namespace likeness {
namespace {

using Bytes = std::string_view;

// The bytes [at, at + count), or as many of them as there are.
Bytes Slice(Bytes bytes, size_t at, size_t count = Bytes::npos) {
  return at < bytes.size() ? bytes.substr(at, count) : Bytes();
}

// 0 where the bytes end.
uint32_t Number(Bytes bytes, size_t at, int count, bool little_endian) {
  Bytes field = Slice(bytes, at, count);
  if (field.size() < static_cast<size_t>(count)) return 0;
  uint32_t value = 0;
  for (int i = 0; i < count; ++i) {
    value = value << 8 | static_cast<uint8_t>(field[little_endian ? count - 1 - i : i]);
  }
  return value;
}

// JPEG: segments of marker, length, data; EXIF is an APP1 segment before the scans.
Bytes ExifOfJpeg(Bytes file) {
  constexpr uint32_t kApp1 = 0xFFE1;
  constexpr uint32_t kScan = 0xFFDA;
  constexpr Bytes kName("Exif\0\0", 6);
  for (size_t at = 2; at + 4 <= file.size();) {
    uint32_t marker = Number(file, at, 2, false);
    if (marker == 0xFFFF) {  // fill byte
      ++at;
      continue;
    }
    if (marker == kScan) break;
    uint32_t length = Number(file, at + 2, 2, false);
    Bytes data = Slice(file, at + 4, length < 2 ? 0 : length - 2);
    if (marker == kApp1 && data.starts_with(kName)) return Slice(data, kName.size());
    at += 2 + static_cast<size_t>(length);
  }
  return {};
}

// PNG: chunks of length, type, data, checksum.
Bytes ExifOfPng(Bytes file) {
  for (size_t at = 8; at + 12 <= file.size();) {
    size_t length = Number(file, at, 4, false);
    if (Slice(file, at + 4, 4) == "eXIf") return Slice(file, at + 8, length);
    at += 12 + length;
  }
  return {};
}

// WebP: RIFF chunks of type, length, data, padded to even length.
Bytes ExifOfWebp(Bytes file) {
  constexpr Bytes kName("Exif\0\0", 6);
  for (size_t at = 12; at + 8 <= file.size();) {
    size_t length = Number(file, at + 4, 4, true);
    if (Slice(file, at, 4) == "EXIF") {
      Bytes data = Slice(file, at + 8, length);
      return data.starts_with(kName) ? Slice(data, kName.size())
                                     : data;  // some writers keep JPEG's prefix
    }
    at += 8 + length + length % 2;
  }
  return {};
}

// TIFF 6.0: byte order, 42, offset of the first directory; a directory is a count and entries of
// twelve bytes.
int OrientationOfTiff(Bytes tiff) {
  constexpr uint32_t kOrientation = 0x0112;
  bool little = tiff.starts_with("II");
  if (!little && !tiff.starts_with("MM")) return 1;
  size_t directory = Number(tiff, 4, 4, little);
  uint32_t entries = Number(tiff, directory, 2, little);
  for (uint32_t i = 0; i < entries; ++i) {
    size_t entry = directory + 2 + 12 * static_cast<size_t>(i);
    if (Number(tiff, entry, 2, little) != kOrientation) continue;
    uint32_t value = Number(tiff, entry + 8, 2, little);
    return value >= 1 && value <= 8 ? static_cast<int>(value) : 1;
  }
  return 1;
}

}  // namespace

int ExifOrientation(std::string_view file) {
  if (file.starts_with("\xFF\xD8")) return OrientationOfTiff(ExifOfJpeg(file));
  if (file.starts_with("\x89PNG")) return OrientationOfTiff(ExifOfPng(file));
  if (file.starts_with("RIFF")) return OrientationOfTiff(ExifOfWebp(file));
  return 1;
}

}  // namespace likeness

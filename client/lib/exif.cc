#include "client/lib/exif.h"

#include <cstdint>

namespace likeness::client {
namespace {

constexpr int kUpright = 1;
constexpr uint32_t kOrientationTag = 0x0112;

// Big or little-endian integers in `bytes`; 0 beyond its end.
class Reader {
 public:
  Reader(absl::string_view bytes, bool little_endian)
      : bytes_(bytes), little_endian_(little_endian) {}

  uint32_t Read(size_t offset, int size) const {
    if (offset > bytes_.size() || bytes_.size() - offset < static_cast<size_t>(size)) return 0;
    uint32_t value = 0;
    for (int i = 0; i < size; ++i) {
      auto byte = static_cast<uint8_t>(bytes_[offset + i]);
      value |= uint32_t{byte} << 8 * (little_endian_ ? i : size - 1 - i);
    }
    return value;
  }

 private:
  absl::string_view bytes_;
  bool little_endian_;
};

// `tiff` is an EXIF segment's TIFF part: a byte order mark, and a first directory of 12-byte
// entries.
int OrientationInTiff(absl::string_view tiff) {
  if (tiff.size() < 8) return kUpright;
  Reader reader(tiff, tiff.substr(0, 2) == "II");
  size_t directory = reader.Read(4, 4);
  uint32_t entries = reader.Read(directory, 2);
  for (uint32_t i = 0; i < entries; ++i) {
    size_t entry = directory + 2 + size_t{12} * i;
    if (reader.Read(entry, 2) != kOrientationTag) continue;
    uint32_t orientation = reader.Read(entry + 8, 2);
    return orientation >= 1 && orientation <= 8 ? static_cast<int>(orientation) : kUpright;
  }
  return kUpright;
}

}  // namespace

int ExifOrientation(absl::string_view jpeg) {
  constexpr uint32_t kStartOfImage = 0xFFD8, kApp1 = 0xFFE1, kStartOfScan = 0xFFDA;
  constexpr absl::string_view kExif("Exif\0\0", 6);
  Reader reader(jpeg, /*little_endian=*/false);
  if (reader.Read(0, 2) != kStartOfImage) return kUpright;
  for (size_t segment = 2; segment + 4 <= jpeg.size();) {
    uint32_t marker = reader.Read(segment, 2);
    uint32_t length = reader.Read(segment + 2, 2);  // of itself and what follows
    if (marker >> 8 != 0xFF || marker == kStartOfScan || length < 2) break;
    auto body = jpeg.substr(segment + 4, length - 2);
    if (marker == kApp1 && body.substr(0, kExif.size()) == kExif) {
      return OrientationInTiff(body.substr(kExif.size()));
    }
    segment += 2 + length;
  }
  return kUpright;
}

}  // namespace likeness::client

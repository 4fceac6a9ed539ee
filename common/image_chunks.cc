#include "common/image_chunks.h"

#include "absl/strings/match.h"
#include "common/byte_order.h"

namespace likeness {
namespace {

absl::string_view Slice(absl::string_view bytes, size_t at, size_t count) {
  return at < bytes.size() ? bytes.substr(at, count) : absl::string_view();
}

}  // namespace

absl::string_view JpegSegment(absl::string_view file, uint8_t marker, absl::string_view prefix) {
  constexpr uint32_t kFill = 0xFFFF, kScan = 0xFFDA;
  for (size_t at = 2; at + 4 <= file.size();) {
    const uint32_t found = BigEndian(file, at, 2);
    if (found == kFill) {
      ++at;
      continue;
    }
    const uint32_t length = BigEndian(file, at + 2, 2);  // of itself and what follows
    if (found >> 8 != 0xFF || found == kScan || length < 2) break;
    const absl::string_view data = Slice(file, at + 4, length - 2);
    if ((found & 0xFF) == marker && absl::StartsWith(data, prefix)) {
      return data.substr(prefix.size());
    }
    at += 2 + length;
  }
  return {};
}

absl::string_view PngChunk(absl::string_view file, absl::string_view type) {
  for (size_t at = 8; at + 12 <= file.size();) {
    const size_t length = BigEndian(file, at, 4);
    if (Slice(file, at + 4, 4) == type) return Slice(file, at + 8, length);
    at += 12 + length;
  }
  return {};
}

absl::string_view WebpChunk(absl::string_view file, absl::string_view type) {
  for (size_t at = 12; at + 8 <= file.size();) {
    const size_t length = LittleEndian(file, at + 4, 4);
    if (Slice(file, at, 4) == type) return Slice(file, at + 8, length);
    at += 8 + length + length % 2;  // padded to an even length
  }
  return {};
}

}  // namespace likeness

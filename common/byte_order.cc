#include "common/byte_order.h"

namespace likeness {
namespace {

bool Holds(absl::string_view bytes, size_t at, int count) {
  return at <= bytes.size() && bytes.size() - at >= static_cast<size_t>(count);
}

uint32_t Byte(absl::string_view bytes, size_t at) { return static_cast<unsigned char>(bytes[at]); }

}  // namespace

uint32_t BigEndian(absl::string_view bytes, size_t at, int count) {
  if (!Holds(bytes, at, count)) return 0;
  uint32_t value = 0;
  for (int i = 0; i < count; ++i) value = value << 8 | Byte(bytes, at + i);
  return value;
}

uint32_t LittleEndian(absl::string_view bytes, size_t at, int count) {
  if (!Holds(bytes, at, count)) return 0;
  uint32_t value = 0;
  for (int i = count - 1; i >= 0; --i) value = value << 8 | Byte(bytes, at + i);
  return value;
}

}  // namespace likeness

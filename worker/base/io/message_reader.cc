#include "worker/base/io/message_reader.h"

namespace likeness {
namespace {

// Wire types.
constexpr uint32_t kVarint = 0;
constexpr uint32_t kFixed64 = 1;
constexpr uint32_t kLength = 2;
constexpr uint32_t kFixed32 = 5;

}  // namespace

std::optional<MessageField> MessageReader::Next() {
  if (left_.empty()) return std::nullopt;
  const uint64_t tag = Varint();
  MessageField field{.number = static_cast<uint32_t>(tag >> 3), .value = 0, .bytes = {}};
  switch (tag & 7) {
    case kVarint:
      field.value = Varint();
      break;
    case kFixed64:
      field.value = Fixed(8);
      break;
    case kLength:
      field.bytes = Take(Varint());
      break;
    case kFixed32:
      field.value = Fixed(4);
      break;
    default:
      Fail();
  }
  return field;
}

uint64_t MessageReader::Varint() {
  uint64_t value = 0;
  for (int shift = 0; shift < 64; shift += 7) {
    const auto byte = static_cast<uint8_t>(Take(1)[0]);
    value |= static_cast<uint64_t>(byte & 0x7f) << shift;
    if (byte < 0x80) return value;
  }
  Fail();
}

uint64_t MessageReader::Fixed(int size) {
  uint64_t value = 0;
  const auto bytes = Take(static_cast<uint64_t>(size));
  for (int i = size - 1; i >= 0; --i) {
    value = value << 8 | static_cast<uint8_t>(bytes[static_cast<size_t>(i)]);
  }
  return value;
}

std::string_view MessageReader::Take(uint64_t size) {
  if (size > left_.size()) Fail();
  const auto taken = left_.substr(0, size);
  left_.remove_prefix(size);
  return taken;
}

}  // namespace likeness

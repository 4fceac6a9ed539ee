// The wire format of protocol buffers, for files of which little is needed: ONNX networks,
// SentencePiece models (protobuf.dev/programming-guides/encoding).
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "worker/base/error.h"

namespace likeness {

struct MessageField {
  uint32_t number = 0;
  uint64_t value = 0;      // of a varint, or of 4 or 8 bytes
  std::string_view bytes;  // of what has a length: text, bytes, a message or a packed list

  bool has_length() const { return bytes.data() != nullptr; }
};

// The fields of one message, one after the other. Nothing is copied.
class MessageReader {
 public:
  // `malformed`: what is thrown where the bytes are no message, or are cut. Both must outlive this.
  MessageReader(std::string_view bytes, const Error& malformed)
      : left_(bytes), malformed_(malformed) {}

  // None at the end.
  std::optional<MessageField> Next();
  // Of a packed list, its next number.
  uint64_t Varint();
  bool AtEnd() const { return left_.empty(); }

  [[noreturn]] void Fail() const { throw malformed_; }

 private:
  uint64_t Fixed(int size);
  std::string_view Take(uint64_t size);

  std::string_view left_;
  const Error& malformed_;
};

}  // namespace likeness

#include "worker/tokenizers/unicode_text.h"

#include <algorithm>

#include "worker/base/error.h"
#include "worker/tokenizers/unicode_tables.h"

namespace likeness {
namespace {

// The row of a sorted table of ranges that holds c, or null.
template <typename Row>
const Row* Find(std::span<const Row> rows, char32_t c) {
  auto after = std::upper_bound(rows.begin(), rows.end(), c,
                                [](char32_t value, const Row& row) { return value < row.first; });
  if (after == rows.begin()) return nullptr;
  const Row& row = *std::prev(after);
  return c <= row.last ? &row : nullptr;
}

[[noreturn]] void NotUtf8(size_t offset) {
  throw Error(ErrorKind::kInvalidArgument,
              "text is not UTF-8 at byte " + std::to_string(offset) + "; allowed: UTF-8");
}

}  // namespace

std::u32string DecodeUtf8(std::string_view bytes) {
  std::u32string text;
  text.reserve(bytes.size());
  for (size_t i = 0; i < bytes.size();) {
    const auto lead = static_cast<unsigned char>(bytes[i]);
    const int length = lead < 0x80   ? 1
                       : lead < 0xC2 ? 0
                       : lead < 0xE0 ? 2
                       : lead < 0xF0 ? 3
                       : lead < 0xF5 ? 4
                                     : 0;
    if (length == 0 || i + length > bytes.size()) NotUtf8(i);
    char32_t c = length == 1 ? lead : lead & (0x7F >> length);
    for (int k = 1; k < length; ++k) {
      const auto next = static_cast<unsigned char>(bytes[i + k]);
      if ((next & 0xC0) != 0x80) NotUtf8(i);
      c = c << 6 | (next & 0x3F);
    }
    const bool overlong = (length == 3 && c < 0x800) || (length == 4 && c < 0x10000);
    if (overlong || (c >= 0xD800 && c <= 0xDFFF) || c > 0x10FFFF) NotUtf8(i);
    text.push_back(c);
    i += length;
  }
  return text;
}

std::string EncodeUtf8(std::u32string_view text) {
  std::string bytes;
  bytes.reserve(text.size());
  for (char32_t c : text) {
    if (c < 0x80) {
      bytes += static_cast<char>(c);
      continue;
    }
    const int length = c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;
    const int lead_mark = 0xF00 >> length;  // as many ones as bytes, in the low eight bits
    bytes += static_cast<char>((lead_mark & 0xFF) | c >> (6 * (length - 1)));
    for (int k = length - 2; k >= 0; --k) bytes += static_cast<char>(0x80 | (c >> (6 * k) & 0x3F));
  }
  return bytes;
}

bool IsLetter(char32_t c) { return Find(kLetters, c) != nullptr; }
bool IsNumber(char32_t c) { return Find(kNumbers, c) != nullptr; }
bool IsSpace(char32_t c) { return Find(kSpaces, c) != nullptr; }

std::u32string ToLower(std::u32string_view text) {
  std::u32string lower;
  lower.reserve(text.size());
  for (char32_t c : text) {
    if (c == U'\u0130') {  // I with a dot: the one character whose lower case is two
      lower += U"i\u0307";
      continue;
    }
    const LowerRun* run = Find(kLowerRuns, c);
    const bool changes = run != nullptr && (c - run->first) % run->step == 0;
    lower += changes ? static_cast<char32_t>(static_cast<int32_t>(c) + run->delta) : c;
  }
  return lower;
}

}  // namespace likeness

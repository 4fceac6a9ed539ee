#include "common/png_text.h"

#include <zlib.h>

#include <algorithm>
#include <cstdint>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "common/byte_order.h"
#include "common/image_chunks.h"

namespace likeness {
namespace {

constexpr absl::string_view kSignature = "\x89PNG\r\n\x1a\n";
constexpr size_t kAround = 12;  // of a chunk's data: length, type and checksum

std::string BigEndian4(uint32_t value) {
  std::string bytes;
  for (int shift = 24; shift >= 0; shift -= 8) bytes += static_cast<char>(value >> shift);
  return bytes;
}

std::string Chunk(absl::string_view type, absl::string_view data) {
  const std::string checked = absl::StrCat(type, data);
  const auto checksum =
      crc32(0, reinterpret_cast<const Bytef*>(checked.data()), static_cast<uInt>(checked.size()));
  return absl::StrCat(BigEndian4(static_cast<uint32_t>(data.size())), checked,
                      BigEndian4(static_cast<uint32_t>(checksum)));
}

std::string TextChunk(const PngText& text) {
  const absl::string_view end("\0", 1);
  if (std::all_of(text.text.begin(), text.text.end(), absl::ascii_isascii)) {
    return Chunk("tEXt", absl::StrCat(text.keyword, end, text.text));
  }
  // No compression, no language, no translated keyword.
  return Chunk("iTXt", absl::StrCat(text.keyword, absl::string_view("\0\0\0\0\0", 5), text.text));
}

// Of the data of an iTXt chunk behind its keyword; nothing if it is compressed or cut.
std::optional<absl::string_view> InternationalText(absl::string_view rest) {
  if (rest.size() < 2 || rest[0] != '\0') return std::nullopt;
  rest.remove_prefix(2);
  for (int i = 0; i < 2; ++i) {  // the language, the translated keyword
    const size_t end = rest.find('\0');
    if (end == absl::string_view::npos) return std::nullopt;
    rest.remove_prefix(end + 1);
  }
  return rest;
}

}  // namespace

std::string WithPngTexts(absl::string_view png, const std::vector<PngText>& texts) {
  const size_t header = kSignature.size() + kAround + BigEndian(png, kSignature.size(), 4);
  if (!absl::StartsWith(png, kSignature) || header > png.size()) return std::string(png);
  std::string file(png.substr(0, header));
  for (const PngText& text : texts) absl::StrAppend(&file, TextChunk(text));
  absl::StrAppend(&file, png.substr(header));
  return file;
}

std::optional<std::string> FindPngText(absl::string_view png, absl::string_view keyword) {
  if (!absl::StartsWith(png, kSignature)) return std::nullopt;
  for (size_t at = kSignature.size(); at + kAround <= png.size();) {
    const size_t length = BigEndian(png, at, 4);
    if (length > png.size() - at - kAround) return std::nullopt;
    const absl::string_view type = png.substr(at + 4, 4);
    absl::string_view data = png.substr(at + 8, length);
    at += kAround + length;
    if (type != "tEXt" && type != "iTXt") continue;
    if (!absl::ConsumePrefix(&data, keyword) || data.empty() || data[0] != '\0') continue;
    data.remove_prefix(1);
    const auto text = type == "tEXt" ? data : InternationalText(data);
    if (text) return std::string(*text);
  }
  return std::nullopt;
}

}  // namespace likeness

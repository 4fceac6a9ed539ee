#include "worker/tokenizers/piece_normalizer.h"

#include <algorithm>
#include <bit>

#include "worker/base/error.h"
#include "worker/tokenizers/unicode_text.h"

namespace likeness {
namespace {

constexpr std::string_view kSpace = "\xe2\x96\x81";        // U+2581
constexpr std::string_view kReplacement = "\xef\xbf\xbd";  // U+FFFD, for what is no UTF-8

// A unit of the trie's array.
bool HasLeaf(uint32_t unit) { return (unit >> 8 & 1) != 0; }
uint32_t ValueOf(uint32_t unit) { return unit & 0x7fffffff; }
uint32_t LabelOf(uint32_t unit) { return unit & 0x800000ff; }
uint32_t OffsetOf(uint32_t unit) { return unit >> 10 << ((unit & 0x200) >> 6); }

uint32_t LittleEndian(std::string_view bytes) {
  uint32_t value = 0;
  for (int i = 3; i >= 0; --i) value = value << 8 | static_cast<uint8_t>(bytes[i]);
  return value;
}

[[noreturn]] void Cut() {
  throw Error(ErrorKind::kDataLoss, "the SentencePiece model's table of characters is cut");
}

bool IsUtf8(std::string_view character) {
  try {
    DecodeUtf8(character);
    return true;
  } catch (const Error&) {
    return false;
  }
}

}  // namespace

size_t Utf8CharacterSize(char first) {
  const auto byte = static_cast<uint8_t>(first);
  const int ones = std::countl_one(byte);
  return ones >= 2 && ones <= 4 ? static_cast<size_t>(ones) : 1;
}

PieceNormalizer::PieceNormalizer(const PieceNormalization& settings,
                                 const std::set<std::string>& kept)
    : settings_(settings), kept_(kept) {
  for (const auto& piece : kept_) longest_kept_ = std::max(longest_kept_, piece.size());
  const std::string_view table = settings_.charsmap;
  if (table.empty()) return;
  if (table.size() < 4) Cut();
  const size_t size = LittleEndian(table);
  if (size % 4 != 0 || size < 4 || size > table.size() - 4 || table.back() != '\0') Cut();
  for (size_t at = 4; at < 4 + size; at += 4) trie_.push_back(LittleEndian(table.substr(at, 4)));
}

size_t PieceNormalizer::KeptPrefix(std::string_view text) const {
  for (size_t size = std::min(longest_kept_, text.size()); size > 0; --size) {
    if (kept_.contains(std::string(text.substr(0, size)))) return size;
  }
  return 0;
}

std::pair<std::string_view, size_t> PieceNormalizer::NextReplacement(std::string_view text) const {
  if (const size_t kept = KeptPrefix(text)) return {text.substr(0, kept), kept};
  size_t longest = 0, replacement = 0;
  if (!trie_.empty()) {
    size_t at = OffsetOf(trie_[0]);
    for (size_t i = 0; i < text.size(); ++i) {
      const auto byte = static_cast<uint8_t>(text[i]);
      at ^= byte;
      if (at >= trie_.size() || LabelOf(trie_[at]) != byte) break;
      const uint32_t unit = trie_[at];
      at ^= OffsetOf(unit);
      if (!HasLeaf(unit)) continue;
      if (at >= trie_.size()) Cut();
      longest = i + 1;
      replacement = ValueOf(trie_[at]);
    }
  }
  if (longest > 0) {
    const auto replacements = std::string_view(settings_.charsmap).substr(4 + trie_.size() * 4);
    if (replacement >= replacements.size()) Cut();
    const auto rest = replacements.substr(replacement);
    const auto replaced = rest.substr(0, rest.find('\0'));
    if (replaced.size() > kLongestPiece) Cut();
    return {replaced, longest};
  }
  const auto character = text.substr(0, Utf8CharacterSize(text[0]));
  if (!IsUtf8(character)) return {kReplacement, 1};
  return {character, character.size()};
}

std::string PieceNormalizer::operator()(std::string_view text) const {
  const bool collapse = settings_.remove_extra_whitespaces;
  const std::string_view space = settings_.escape_whitespaces ? kSpace : " ";
  while (collapse && !text.empty()) {
    const auto [replaced, size] = NextReplacement(text);
    if (replaced != " ") break;
    text.remove_prefix(size);
  }
  if (text.empty()) return "";
  std::string normalized(settings_.add_dummy_prefix ? space : "");
  bool after_space = collapse;
  while (!text.empty()) {
    auto [replaced, size] = NextReplacement(text);
    while (after_space && replaced.starts_with(' ')) replaced.remove_prefix(1);
    for (const char c : replaced) {
      if (c == ' ') {
        normalized += space;
      } else {
        normalized += c;
      }
    }
    if (!replaced.empty()) after_space = collapse && replaced.back() == ' ';
    text.remove_prefix(size);
  }
  while (collapse && normalized.ends_with(space)) {
    normalized.resize(normalized.size() - space.size());
  }
  return normalized;
}

}  // namespace likeness

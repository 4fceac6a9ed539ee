// NFC: decompose, put combining marks in order, compose (Unicode Standard Annex 15; Hangul:
// chapter 3.12).
#include <algorithm>
#include <cstdint>
#include <unordered_map>

#include "worker/tokenizers/unicode_tables.h"
#include "worker/tokenizers/unicode_text.h"

namespace likeness {
namespace {

constexpr char32_t kSyllable = 0xAC00, kLeading = 0x1100, kVowel = 0x1161, kTrailing = 0x11A7;
constexpr char32_t kLeadings = 19, kVowels = 21, kTrailings = 28;
constexpr char32_t kSyllables = kLeadings * kVowels * kTrailings;

uint8_t CombiningClass(char32_t c) {
  auto after =
      std::upper_bound(kCombiningRanges.begin(), kCombiningRanges.end(), c,
                       [](char32_t value, const CombiningRange& row) { return value < row.first; });
  if (after == kCombiningRanges.begin()) return 0;
  const CombiningRange& row = *std::prev(after);
  return c <= row.last ? row.combining_class : 0;
}

void Decompose(char32_t c, std::u32string& out) {
  if (c >= kSyllable && c < kSyllable + kSyllables) {
    const char32_t index = c - kSyllable;
    out += kLeading + index / (kVowels * kTrailings);
    out += kVowel + index % (kVowels * kTrailings) / kTrailings;
    if (index % kTrailings != 0) out += kTrailing + index % kTrailings;
    return;
  }
  auto pair = std::lower_bound(
      kCanonicalPairs.begin(), kCanonicalPairs.end(), c,
      [](const CanonicalPair& row, char32_t value) { return row.composed < value; });
  if (pair == kCanonicalPairs.end() || pair->composed != c) {
    out += c;
    return;
  }
  Decompose(pair->first, out);
  if (pair->second != 0) Decompose(pair->second, out);
}

// Marks between two starters go in order of class, those of one class as they came.
void OrderMarks(std::u32string& text) {
  for (size_t i = 0; i < text.size();) {
    if (CombiningClass(text[i]) == 0) {
      ++i;
      continue;
    }
    size_t end = i;
    while (end < text.size() && CombiningClass(text[end]) != 0) ++end;
    std::stable_sort(text.begin() + i, text.begin() + end,
                     [](char32_t a, char32_t b) { return CombiningClass(a) < CombiningClass(b); });
    i = end;
  }
}

// The character that two compose to, or 0.
char32_t Composition(char32_t a, char32_t b) {
  if (a >= kLeading && a < kLeading + kLeadings && b >= kVowel && b < kVowel + kVowels) {
    return kSyllable + ((a - kLeading) * kVowels + (b - kVowel)) * kTrailings;
  }
  const bool open =
      a >= kSyllable && a < kSyllable + kSyllables && (a - kSyllable) % kTrailings == 0;
  if (open && b > kTrailing && b < kTrailing + kTrailings) return a + (b - kTrailing);

  static const auto* const kCompositions = [] {
    auto* map = new std::unordered_map<uint64_t, char32_t>();
    for (const CanonicalPair& row : kCanonicalPairs) {
      if (row.recomposes) map->emplace(uint64_t{row.first} << 32 | row.second, row.composed);
    }
    return map;
  }();
  auto found = kCompositions->find(uint64_t{a} << 32 | b);
  return found == kCompositions->end() ? 0 : found->second;
}

std::u32string Compose(std::u32string_view text) {
  std::u32string out;
  size_t starter = std::u32string::npos;  // where in out the last starter stands
  uint8_t last_class = 0;                 // of what was kept since
  for (char32_t c : text) {
    const uint8_t mark_class = CombiningClass(c);
    const bool adjacent = starter != std::u32string::npos && starter + 1 == out.size();
    const bool reachable = adjacent || (starter != std::u32string::npos && last_class < mark_class);
    if (reachable) {
      if (char32_t composed = Composition(out[starter], c); composed != 0) {
        out[starter] = composed;
        continue;
      }
    }
    if (mark_class == 0) starter = out.size();
    last_class = mark_class;
    out += c;
  }
  return out;
}

}  // namespace

std::u32string NormalizeNfc(std::u32string_view text) {
  // Below U+0300 nothing decomposes that would not compose again.
  if (std::all_of(text.begin(), text.end(), [](char32_t c) { return c < 0x300; })) {
    return std::u32string(text);
  }
  std::u32string decomposed;
  decomposed.reserve(text.size());
  for (char32_t c : text) Decompose(c, decomposed);
  OrderMarks(decomposed);
  return Compose(decomposed);
}

}  // namespace likeness

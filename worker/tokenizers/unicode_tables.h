// What the tokenizer needs to know of Unicode, as sorted tables. See generate_unicode_tables.py.
#pragma once

#include <cstdint>
#include <span>

namespace likeness {

struct CodeRange {
  char32_t first;
  char32_t last;
};

// Every step-th character from first to last has the lower case c + delta.
struct LowerRun {
  char32_t first;
  char32_t last;
  uint8_t step;
  int32_t delta;
};

// Canonical decomposition by one level; second is 0 where a character stands for one other.
struct CanonicalPair {
  char32_t composed;
  char32_t first;
  char32_t second;
  bool recomposes;  // false for what NFC leaves decomposed
};

struct CombiningRange {
  char32_t first;
  char32_t last;
  uint8_t combining_class;
};

extern const std::span<const CodeRange> kLetters;  // \p{L}
extern const std::span<const CodeRange> kNumbers;  // \p{N}
extern const std::span<const CodeRange> kSpaces;   // \s
extern const std::span<const LowerRun> kLowerRuns;
extern const std::span<const CanonicalPair> kCanonicalPairs;
extern const std::span<const CombiningRange> kCombiningRanges;  // of class 1 and above

}  // namespace likeness

#include "worker/tokenizers/find_word.h"

#include <algorithm>

namespace likeness {
namespace {

char Lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }

// Of ASCII; what has its high bit set belongs to a letter of some script.
bool IsPartOfWord(char c) {
  const char lower = Lower(c);
  return (lower >= 'a' && lower <= 'z') || (c >= '0' && c <= '9') || (c & 0x80) != 0;
}

bool StandsAlone(std::string_view text, size_t at, size_t size) {
  const bool begins = at == 0 || !IsPartOfWord(text[at - 1]) || !IsPartOfWord(text[at]);
  const size_t end = at + size;
  const bool ends = end == text.size() || !IsPartOfWord(text[end]) || !IsPartOfWord(text[end - 1]);
  return begins && ends;
}

}  // namespace

size_t FindWord(std::string_view text, std::string_view word) {
  if (word.empty()) return std::string_view::npos;
  const auto same = [](char a, char b) { return Lower(a) == Lower(b); };
  for (size_t from = 0; from <= text.size();) {
    const auto found = std::search(text.begin() + static_cast<std::ptrdiff_t>(from), text.end(),
                                   word.begin(), word.end(), same);
    if (found == text.end()) break;
    const auto at = static_cast<size_t>(found - text.begin());
    if (StandsAlone(text, at, word.size())) return at;
    from = at + 1;
  }
  return std::string_view::npos;
}

}  // namespace likeness

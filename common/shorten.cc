#include "common/shorten.h"

#include "absl/strings/str_cat.h"

namespace likeness {

std::string Shorten(absl::string_view text, size_t limit) {
  if (text.size() <= limit) return std::string(text);
  size_t end = limit;
  // A character has at most three bytes after its first. More than that is no UTF-8.
  for (int i = 0; i < 3 && end > 0 && (text[end] & 0xC0) == 0x80; ++i) --end;
  return absl::StrCat(text.substr(0, end), "...");
}

}  // namespace likeness

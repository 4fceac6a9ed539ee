#include "common/placeholders.h"

#include <algorithm>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "common/nearest.h"
#include "common/shorten.h"

namespace likeness {
namespace {

constexpr size_t kMostShown = 80;  // bytes of a name

bool IsWord(absl::string_view name) {
  return !name.empty() && std::all_of(name.begin(), name.end(), [](unsigned char c) {
    return absl::ascii_isalnum(c) || c == '_';
  });
}

}  // namespace

bool IsPlaceholder(absl::string_view name) {
  if (!absl::ConsumePrefix(&name, "subject") && !absl::ConsumePrefix(&name, "class")) return false;
  return std::all_of(name.begin(), name.end(),
                     [](unsigned char c) { return absl::ascii_isdigit(c); });
}

std::optional<std::string> PlaceOfNoSubject(absl::string_view text, int subjects) {
  for (size_t open = text.find('{'); open != text.npos; open = text.find('{', open + 1)) {
    const size_t close = text.find('}', open);
    if (close == text.npos) break;
    absl::string_view number = text.substr(open + 1, close - open - 1);
    if (!IsPlaceholder(number)) continue;
    if (!absl::ConsumePrefix(&number, "subject")) absl::ConsumePrefix(&number, "class");
    if (number.empty()) continue;
    bool known = false;
    for (int i = 1; subjects > 1 && i <= subjects; ++i) known |= number == absl::StrCat(i);
    if (!known) return std::string(text.substr(open, close + 1 - open));
  }
  return std::nullopt;
}

std::optional<std::string> PlaceholderError(absl::string_view text) {
  for (size_t open = text.find('{'); open != text.npos; open = text.find('{', open + 1)) {
    const size_t close = text.find_first_of("{}", open + 1);
    if (close == text.npos || text[close] == '{') continue;
    const absl::string_view name = text.substr(open + 1, close - open - 1);
    if (!IsWord(name) || IsPlaceholder(name)) continue;
    const std::string shown(Shorten(name, kMostShown));
    const std::string meant = Nearest(shown, {"subject", "class"});
    return absl::StrCat("holds {", shown, "}, which is no placeholder; ",
                        meant.empty() ? "" : absl::StrCat("did you mean {", meant, "}? "),
                        "{subject} and {class} are allowed, and with several subjects {subject1}, "
                        "{class1}, {subject2} and so on");
  }
  return std::nullopt;
}

}  // namespace likeness

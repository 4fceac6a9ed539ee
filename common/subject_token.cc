#include "common/subject_token.h"

#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "common/utf8.h"

namespace likeness {

std::optional<std::string> TokenError(absl::string_view token) {
  if (token.empty()) return "is empty; one word is allowed";
  const auto is = absl::StrCat("is \"", absl::Utf8SafeCEscape(token.substr(0, kMaxTokenBytes)));
  for (const char c : token) {
    if (absl::ascii_isspace(static_cast<unsigned char>(c))) {
      return absl::StrCat(is, "\"; one word, without spaces, is allowed");
    }
    if (c == '{' || c == '}') {
      return absl::StrCat(is,
                          "\"; one word is allowed, without braces, which are what prompts have "
                          "around places to fill in");
    }
  }
  return std::nullopt;
}

bool IsToken(absl::string_view token) {
  return !TokenError(token) && token.size() <= kMaxTokenBytes && IsUtf8(token) &&
         !HasControlCharacter(token);
}

}  // namespace likeness

// The rare word that stands for a subject.
#pragma once

#include <optional>
#include <string>

#include "absl/strings/string_view.h"

namespace likeness {

inline constexpr size_t kMaxTokenBytes = 64;

// What is wrong with it beside its length and what is no text: "is empty; one word is allowed".
std::optional<std::string> TokenError(absl::string_view token);

// Whether it may stand for a subject: TokenError has nothing to say, it has at most kMaxTokenBytes,
// and it is UTF-8 without control characters.
bool IsToken(absl::string_view token);

}  // namespace likeness

#pragma once

#include <string>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"

namespace likeness {

// What prompts call a subject: "zwx dog"; the one of both that is known ("zwx" of an imported
// adapter whose class noun nobody gave), or nothing.
inline std::string SubjectPhrase(absl::string_view token, absl::string_view class_noun) {
  return absl::StrCat(token, token.empty() || class_noun.empty() ? "" : " ", class_noun);
}

}  // namespace likeness

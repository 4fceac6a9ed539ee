// What is odd about the words for a subject's class.
#pragma once

#include <optional>
#include <string>

#include "absl/strings/string_view.h"

namespace likeness {

// A warning for "a dog": prompts put the article before the noun themselves. Nothing for "dog".
std::optional<std::string> ClassNounWarning(absl::string_view class_noun);

}  // namespace likeness

// What prompts and captions may have between braces: "{subject}" and "{class}", also with the
// number of one of several subjects, "{subject2}".
#pragma once

#include <optional>
#include <string>

#include "absl/strings/string_view.h"

namespace likeness {

// Whether a worker puts something in the place of "{name}".
bool IsPlaceholder(absl::string_view name);

// What is wrong with a prompt or caption in which a single word (letters, digits and '_') between
// braces is no placeholder: "holds {subjct}, which is no placeholder; did you mean {subject}? ...".
// Nothing for other text between braces, which is read as it is written.
std::optional<std::string> PlaceholderError(absl::string_view text);

// The first place in a text with a number that none of so many subjects has: "{subject3}" of two.
// Places have numbers, from 1, where there are several; of one subject or none, no number is right.
std::optional<std::string> PlaceOfNoSubject(absl::string_view text, int subjects);

}  // namespace likeness

// The word that was meant by one that was mistyped.
#pragma once

#include <string>
#include <vector>

#include "absl/strings/string_view.h"

namespace likeness {

// The one of `known` that is at most two edits (Levenshtein) from `word`; the first of several that
// are equally near; empty if all are farther, or as far as a word of another meaning of that
// length.
std::string Nearest(absl::string_view word, const std::vector<std::string>& known);

}  // namespace likeness

// Text from outside, cut to a length that a log or a message can bear.
#pragma once

#include <string>

#include "absl/strings/string_view.h"

namespace likeness {

// `text`, or its beginning and "..." where it has more than `limit` bytes. No character of UTF-8 is
// cut in two.
std::string Shorten(absl::string_view text, size_t limit);

}  // namespace likeness

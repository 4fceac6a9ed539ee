// Errors of paths that operators give to flags.
#pragma once

#include "absl/status/status.h"
#include "absl/strings/string_view.h"

namespace likeness {

// `status`, which is not OK, with the flag and the path in front of its message, such as
// "--data-dir \"state\": could not make a directory: Permission denied". Code and details stay.
absl::Status WithFlag(absl::string_view flag, absl::string_view path, const absl::Status& status);

}  // namespace likeness

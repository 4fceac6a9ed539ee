// What all sub-commands do with their flags and their result.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "common/flags.h"

namespace likeness {

// Parses, prints the help if asked, then runs `body` and prints its error. Positional arguments are
// refused.
int RunWithFlags(FlagSet& flags, const std::vector<std::string>& arguments,
                 const std::function<absl::Status()>& body);

// INVALID_ARGUMENT unless the flag was given a value.
absl::Status RequireFlag(const char* name, const std::string& value);

}  // namespace likeness

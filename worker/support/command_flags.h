// What all sub-commands do with their flags and their result.
#pragma once

#include <functional>
#include <map>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "common/flags.h"

namespace likeness {

using CommandLine = std::vector<std::string>;

// A sub-command: takes its arguments and returns the process's exit code: 0 done, 1 failed, 2 wrong
// use.
using Command = int (*)(const CommandLine& arguments);

// Runs the command that the first argument names, or `if_none` where none is named ("": that is
// invalid usage). `help` is what "help" prints.
int RunNamedCommand(const CommandLine& arguments, const std::map<std::string, Command>& commands,
                    const char* help, const std::string& if_none);

// Parses, prints the help if asked, then runs `body` and prints its error. Positional arguments are
// refused.
int RunWithFlags(FlagSet& flags, const CommandLine& arguments,
                 const std::function<absl::Status()>& body);

// Makes the directory `path` that a flag names, with those above it. FAILED_PRECONDITION, naming
// both, where it cannot be made or cannot be written in.
absl::Status MakeDirectory(const char* name, const std::string& path);

// INVALID_ARGUMENT unless the flag was given a value.
absl::Status RequireFlag(const char* name, const std::string& value);

}  // namespace likeness

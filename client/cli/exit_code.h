// What the program ends with; documented in `likeness help`.
#pragma once

#include "absl/status/status.h"

namespace likeness::client {

enum ExitCode {
  kDone = 0,
  kJobFailed = 1,  // the job failed or was cancelled, or what it made could not be stored here
  kWrongUse = 2,   // an option, argument or file of the command line is wrong
  kNoServer = 3,   // not reachable, or lost for longer than was waited
  kRefused = 4,    // the server does not accept the request
  kDetached = 130  // Ctrl-C
};

inline constexpr char kExitCodeHelp[] =
    "Exit codes:\n"
    "  0    done\n"
    "  1    the job failed or was cancelled, or its results could not be stored\n"
    "  2    invalid usage: an option, argument or file\n"
    "  3    the server cannot be reached\n"
    "  4    refused: a photo, a value, a name, a quota or a permission\n"
    "  130  stopped by Ctrl-C; a job that was submitted continues";

// What the server says carries google.rpc.ErrorInfo; INVALID_ARGUMENT without it comes from this
// program, and is invalid usage.
ExitCode ExitCodeFor(const absl::Status& status);

}  // namespace likeness::client

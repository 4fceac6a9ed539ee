// The end of a process whose disk failed it. After a failed write or fsync nobody knows what is on
// the disk: the kernel may have dropped the pages, and a second fsync would "succeed" without them.
// What is certain is what a new process reads.
#pragma once

#include "absl/strings/string_view.h"

namespace likeness::server {

// Of a process that ended so: EX_IOERR of sysexits.h.
inline constexpr int kStorageFailureExitCode = 74;

// Logs `what` failed with `error` (an errno) and ends the process at once: nothing is flushed,
// closed or committed.
[[noreturn]] void EndAfterStorageFailure(absl::string_view what, int error);

}  // namespace likeness::server

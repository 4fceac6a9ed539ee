// A look at the write-ahead log before SQLite recovers it. SQLite takes the first frame whose
// checksum is wrong for the place where a write was cut short, and what stands behind it for
// nothing: one flipped bit would silently take back all that was committed after it.
#pragma once

#include <string>

#include "absl/status/status.h"

namespace likeness::server {

// DATA_LOSS (STORE_DAMAGED) if the log of the database at `path` is damaged in front of something
// that was committed later. Each commit is fsynced before the next transaction's first frame is
// written, and so is the log's header before any frame: what stands before a frame that continues
// a commit was whole once, whatever a loss of power did.
//
// Of the last transaction nobody can tell whether it is damaged or was never committed: it is left
// out, as SQLite does, and a line of the log says so.
absl::Status CheckLog(const std::string& path);

}  // namespace likeness::server

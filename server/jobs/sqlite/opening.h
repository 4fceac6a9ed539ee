// What is done to a database before it is served from.
#pragma once

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "server/jobs/sqlite/database.h"

namespace likeness::server {

// Opens the database for the one who writes, after the end of the process before, whatever it was:
//
// - Pages of an older database get checksums. This needs room for a second copy; without it, or
//   while another process reads, they do without until the next start.
// - What stands in the log is brought into the database and made durable, so that nothing new is
//   written behind something that a failed fsync may have lost.
//
// DATA_LOSS (STORE_DAMAGED) if it cannot be opened, if its log is damaged before its end, or if it
// `was_there` and holds nothing.
absl::StatusOr<std::unique_ptr<Database>> OpenForWriting(const std::string& path,
                                                         bool was_there = false);

}  // namespace likeness::server

// A consistent copy of a data directory that a server may have open.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "common/resource_names.h"

namespace likeness::server {

struct BackupOptions {
  std::string data_dir;
  std::string out;    // made if missing; an earlier backup there is brought up to date
  bool copy = false;  // blobs are copied even where a hard link would do
};

struct Backup {
  int64_t blobs = 0;  // that the backup holds
  int64_t fresh = 0;  // of these, copied or linked now
  int64_t fresh_bytes = 0;
  int64_t removed = 0;            // of an earlier backup, which nothing names any more
  std::vector<BlobName> lacking;  // named, and missing or damaged in the data directory
};

// One moment of the database, and every blob that it names; durable on return. `out` has the
// layout of a data directory, and is a whole backup at every moment, the earlier one or this one.
// The server removes no blob meanwhile. FAILED_PRECONDITION: NO_DATA_DIR. UNAVAILABLE: LOCKED, when
// another process writes to `out`.
absl::StatusOr<Backup> MakeBackup(const BackupOptions& options);

}  // namespace likeness::server

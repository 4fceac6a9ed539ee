// Whether a server could go on from a backup.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "common/resource_names.h"

namespace likeness::server {

struct RestoreCheck {
  int64_t jobs = 0;
  int64_t models = 0;
  int64_t blobs = 0;  // that are there and whole
  int64_t bytes = 0;
  std::vector<BlobName> missing;
  std::vector<BlobName> damaged;
};

// Reads everything, changes nothing. DATA_LOSS (STORE_DAMAGED) if the database itself is not whole;
// FAILED_PRECONDITION: NO_DATA_DIR, STORE_TOO_NEW, STORE_TOO_OLD.
absl::StatusOr<RestoreCheck> CheckRestore(const std::string& directory);

}  // namespace likeness::server

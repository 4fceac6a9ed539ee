// The way from the tables of earlier versions to those of today (schema.cc).
#pragma once

#include <cstdint>

#include "absl/status/status.h"
#include "server/jobs/sqlite/database.h"

namespace likeness::server {

// Brings the tables of `version`, 1 or later, up to date: all or nothing. Errors: DATA_LOSS where
// a stored record cannot be read.
absl::Status Migrate(Database& database, int64_t version);

}  // namespace likeness::server

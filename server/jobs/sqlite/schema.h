// The tables of the SQLite job store.
#pragma once

#include "absl/status/status.h"
#include "server/jobs/sqlite/database.h"

namespace likeness::server {

// Creates the tables in an empty file, and brings those of an earlier version up to date.
// FAILED_PRECONDITION (STORE_TOO_NEW) for a file of a later version.
absl::Status PrepareSchema(Database& database);

// FAILED_PRECONDITION (STORE_TOO_NEW, STORE_TOO_OLD) unless the tables are of this version. Changes
// nothing.
absl::Status CheckSchema(Database& database);

}  // namespace likeness::server

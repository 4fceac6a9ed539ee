// The stored events of jobs as rows. Call the functions inside a transaction.
#pragma once

#include <cstdint>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "server/jobs/job_record.h"
#include "server/jobs/sqlite/database.h"

namespace likeness::server {

// The end of a job's log that is always kept. While the job runs there may be up to four times as
// many lines.
inline constexpr int kKeptLogLines = 1000;
inline constexpr int64_t kKeptLogBytes = 256 << 10;  // of their texts; of a job that has ended

// The record's new events, and no more of its log than is kept. `commit` is the transaction's
// number.
absl::Status InsertEvents(Database& database, int64_t commit, const JobRecord& record);

// Deletes all events of the job before its last one, but for changes of state and the end of its
// log. Returns how many.
absl::StatusOr<int> CompactEvents(Database& database, int64_t key);

}  // namespace likeness::server

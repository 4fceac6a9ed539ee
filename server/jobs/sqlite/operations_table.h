// What operators ask and say: who works, who waits, who is drained.
#pragma once

#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "server/jobs/operations.h"
#include "server/jobs/sqlite/database.h"

namespace likeness::server {

// At most `limit`, by worker.
absl::StatusOr<std::vector<HeldJob>> ReadHeldJobs(Database& database, int limit);

// The largest groups, at most `limit`. `now` is the queue's.
absl::StatusOr<std::vector<QueueGroup>> ReadQueueGroups(Database& database, absl::Time now,
                                                        int limit);

absl::StatusOr<std::vector<DrainedWorker>> ReadDrained(Database& database);
// Of very many, those that were drained first are forgotten.
absl::Status WriteDrained(Database& database, const DrainedWorker& worker, absl::Time now);
absl::Status DeleteDrained(Database& database, const std::string& worker);

}  // namespace likeness::server

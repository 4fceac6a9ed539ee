// Job records, their events and their models as rows. Call the writing functions inside a
// transaction.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "server/jobs/job_record.h"
#include "server/jobs/sqlite/database.h"

namespace likeness::server {

// A record with the version under which it was read.
struct StoredRecord {
  JobRecord record;
  int64_t version = 0;
  int64_t report =
      0;  // the last event's seq, if that is of progress alone and has a row of its own
};

// Nothing when there is none.
absl::StatusOr<std::optional<StoredRecord>> LoadRecord(Database& database, int64_t key);

// The job's key, if there is such a job.
absl::StatusOr<std::optional<int64_t>> FindKey(Database& database, const JobName& name);
// NOT_FOUND (JOB_NOT_FOUND).
absl::StatusOr<int64_t> FindJob(Database& database, const JobName& name);
absl::Status JobNotFound(const JobName& name);

// Sets record.key. `commit` is the transaction's number, here and below.
absl::Status InsertRecord(Database& database, const JobName& name, int64_t commit,
                          JobRecord& record);

// Writes the record back with its new events, on condition that nobody wrote it since it was read:
// this is the fence between two holders of a lease.
absl::Status SaveRecord(Database& database, int64_t commit, const StoredRecord& stored);

// The same where nothing has changed but progress and the end of the lease: one small row, and the
// event takes the place of the last one of its kind.
absl::Status SaveReport(Database& database, int64_t commit, const StoredRecord& stored);

// The columns and rows that lists and the queue look at, after the job was changed by a client.
absl::Status SaveUpdate(Database& database, int64_t key, const v1::Job& job);

// The record, its events and its request id. A model that it made stays.
absl::Status DeleteRecord(Database& database, int64_t key);

// Leases that ran out at `now`.
absl::StatusOr<std::vector<int64_t>> ExpiredLeases(Database& database, absl::Time now);

// Jobs whose deadlines have come at `now`, at most 1,000.
absl::StatusOr<std::vector<int64_t>> OverdueJobs(Database& database, absl::Time now);

// Jobs that ended at `end` or before, the first of them: all, and those that still have events to
// compact.
absl::StatusOr<std::vector<int64_t>> EndedJobs(Database& database, absl::Time end, int limit);
absl::StatusOr<std::vector<int64_t>> JobsToCompact(Database& database, absl::Time end, int limit);

}  // namespace likeness::server

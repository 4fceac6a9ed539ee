// What the SQLite store reads: one function per question.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/status/statusor.h"
#include "server/jobs/job_store.h"
#include "server/jobs/policies/forecast.h"
#include "server/jobs/sqlite/database.h"

namespace likeness::server {

// Called for each job that waits, to write into it what its place in the queue says.
using TellPlace = absl::FunctionRef<absl::Status(const QueuePlace&, v1::Job&)>;

// The job and its last event's seq.
absl::StatusOr<JobSnapshot> ReadSnapshot(Database& database, const JobName& name, TellPlace tell);

// Without the jobs of these keys, which cannot be read.
absl::StatusOr<JobPage> ReadPage(Database& database, const std::string& tenant,
                                 const JobQuery& query, const std::vector<int64_t>& damaged,
                                 TellPlace tell);

// NOT_FOUND (JOB_NOT_FOUND) unless the job has this name and key; FAILED_PRECONDITION
// (RESUME_TOKEN_EXPIRED) when some of the events after `after` are not kept.
absl::Status CheckAllKept(Database& database, const JobName& name, int64_t key, int64_t after);

absl::StatusOr<std::vector<v1::JobEvent>> ReadEvents(Database& database, int64_t key, int64_t after,
                                                     int limit);

struct StoredRequest {
  std::string fingerprint;
  int64_t job = 0;
};
absl::StatusOr<std::optional<StoredRequest>> ReadRequest(Database& database,
                                                         const std::string& tenant,
                                                         const std::string& request_id);

// The job of that key. DATA_LOSS (STORE_FAILED) where there is none, although a row names it.
absl::StatusOr<v1::Job> ReadJob(Database& database, int64_t key);

// NOT_FOUND (MODEL_NOT_FOUND), FAILED_PRECONDITION (MODEL_NOT_READY).
absl::StatusOr<v1::Model> ReadModel(Database& database, const ModelName& model);

absl::StatusOr<ModelPage> ReadModels(Database& database, const std::string& tenant,
                                     const std::string& after, int limit);

// Whether a job that has not ended uses the model.
absl::StatusOr<bool> ModelInUse(Database& database, const ModelName& model);

// The job of this key, if the token is that of its last lease, or of the last one that a worker
// gave up.
absl::StatusOr<std::optional<LeasedJob>> ReadLease(Database& database, int64_t key,
                                                   const std::string& token, absl::Time now);

// The job that is leased to the worker, which has not said a word under the lease.
absl::StatusOr<std::optional<int64_t>> FindUnheardLease(Database& database,
                                                        const std::string& request, absl::Time now);

}  // namespace likeness::server

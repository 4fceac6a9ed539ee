// What the SQLite store reads: one function per question.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "server/jobs/job_store.h"
#include "server/jobs/policies.h"
#include "server/jobs/sqlite/database.h"

namespace likeness::server {

// The job and its last event's seq, queue position counted.
absl::StatusOr<JobSnapshot> ReadSnapshot(Database& database, const JobName& name);

absl::StatusOr<JobPage> ReadPage(Database& database, const std::string& tenant,
                                 const JobQuery& query);

absl::StatusOr<std::vector<v1::JobEvent>> ReadEvents(Database& database, int64_t key, int64_t after,
                                                     int limit);

struct StoredRequest {
  std::string fingerprint;
  int64_t job = 0;
};
absl::StatusOr<std::optional<StoredRequest>> ReadRequest(Database& database,
                                                         const std::string& tenant,
                                                         const std::string& request_id);

// NOT_FOUND (MODEL_NOT_FOUND), FAILED_PRECONDITION (MODEL_NOT_READY).
absl::StatusOr<v1::Model> ReadModel(Database& database, const ModelName& model);

absl::StatusOr<ModelPage> ReadModels(Database& database, const std::string& tenant,
                                     const std::string& after, int limit);

// Whether a job that has not ended draws with the model.
absl::StatusOr<bool> ModelInUse(Database& database, const ModelName& model);

// The key of the job that the worker should get now, chosen by policies.h.
absl::StatusOr<std::optional<int64_t>> ChoosePending(Database& database,
                                                     const v1::AcquireLeaseRequest& offer,
                                                     absl::Time now);

absl::StatusOr<std::vector<v1::BaseModel>> ReadBaseModels(Database& database);

absl::StatusOr<std::vector<JobCount>> ReadCounts(Database& database);

}  // namespace likeness::server

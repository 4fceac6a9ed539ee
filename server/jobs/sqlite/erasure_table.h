// What belongs to a subject is forgotten together; and which models workers are to erase from their
// caches. Call the writing functions inside a transaction.
#pragma once

#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "common/resource_names.h"
#include "server/jobs/job_store.h"
#include "server/jobs/sqlite/database.h"

namespace likeness::server {

// A model, and the jobs that made it and drew with it; or a job alone.
struct SubjectRecords {
  std::optional<v1::Model> model;
  std::vector<int64_t> jobs;  // keys
};

// Errors of ReadModel. RESOURCE_EXHAUSTED (TOO_MANY_JOBS) if more jobs belong to it than can be
// erased at once.
absl::StatusOr<SubjectRecords> FindSubjectOfModel(Database& database, const ModelName& model);

// The job with this key, and what belongs to the model that it made, if that is there.
absl::StatusOr<SubjectRecords> FindSubjectOfJob(Database& database, const JobName& name,
                                                int64_t key);

// The job has no use for this checkpoint any more, which may lie there for a while.
absl::Status NoteReplaced(Database& database, int64_t key, const std::string& checkpoint,
                          absl::Time now);

// Adds the blobs that the job and its events name, and the checkpoints that it had before.
absl::Status AddBlobsOfJob(Database& database, int64_t key, std::set<std::string>& blobs);
// The same of the model, which is this tenant's.
void AddBlobsOfModel(const v1::Model& model, const std::string& tenant,
                     std::set<std::string>& blobs);

// The model's number.
absl::StatusOr<int64_t> InsertErasedModel(Database& database, const v1::Model& model,
                                          absl::Time now);
// The number of the last one; 0 if there is none.
absl::StatusOr<int64_t> ReadLastErased(Database& database);

absl::Status InsertBlobToErase(Database& database, const BlobToErase& blob);
absl::StatusOr<std::vector<BlobToErase>> ReadBlobsToErase(Database& database, int limit);
// Unless it was to be erased again since.
absl::Status DeleteBlobToErase(Database& database, const BlobToErase& blob);

// With numbers above `after`, in order, at most `limit`; of all if there is none as high as that.
absl::StatusOr<std::vector<ErasedModel>> ReadErasedModels(Database& database, int64_t after,
                                                          int limit);

}  // namespace likeness::server

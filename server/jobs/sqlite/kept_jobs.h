// What a tenant's jobs that have ended take, so that there is an end to it. Call these inside a
// transaction.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "likeness/v1/job.pb.h"
#include "server/jobs/policies/retention.h"
#include "server/jobs/sqlite/database.h"

namespace likeness::server {

// What an ended job takes; nothing of one that has not ended.
std::optional<int64_t> KeptBytes(const v1::Job& job);

// One more job of so many bytes is kept, or, with `jobs` = -1, one less.
absl::Status CountKept(Database& database, const std::string& tenant, int jobs, int64_t bytes);

// The key of the tenant's job that ended first, if it keeps more than the policy allows; none of
// `except`.
absl::StatusOr<std::optional<int64_t>> FirstBeyond(Database& database, const std::string& tenant,
                                                   const RetentionPolicy& policy,
                                                   const std::vector<int64_t>& except);

}  // namespace likeness::server

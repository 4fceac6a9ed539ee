// How many jobs there are, for metrics.
#pragma once

#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "server/jobs/job_store.h"
#include "server/jobs/quota.h"
#include "server/jobs/sqlite/database.h"

namespace likeness::server {

// Reads one entry of an index for each job that waits.
absl::StatusOr<std::vector<JobCount>> ReadCounts(Database& database, const JobQuotas& quotas,
                                                 absl::Time now);

}  // namespace likeness::server

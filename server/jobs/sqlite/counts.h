// How many jobs there are, for metrics.
#pragma once

#include <vector>

#include "absl/status/statusor.h"
#include "server/jobs/job_store.h"
#include "server/jobs/moment.h"
#include "server/jobs/quota.h"
#include "server/jobs/sqlite/database.h"

namespace likeness::server {

// Reads one entry of an index for each job that waits.
absl::StatusOr<std::vector<JobCount>> ReadCounts(Database& database, const JobQuotas& quotas,
                                                 const Moment& now);

}  // namespace likeness::server

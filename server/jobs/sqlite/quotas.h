// What tenants take of what they may take. Call these inside a transaction that then takes it:
// there is one writer, so that what was checked still holds.
#pragma once

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "server/jobs/operations.h"
#include "server/jobs/quota.h"
#include "server/jobs/sqlite/database.h"

namespace likeness::server {

// Whether one more job of the tenant may wait. RESOURCE_EXHAUSTED (QUOTA_EXCEEDED), with RetryInfo
// where time alone mends it.
absl::Status CheckMayWait(Database& database, const std::string& tenant, const JobQuota& quota,
                          absl::Time now);

// How many more of the tenant's jobs may start now; JobQuota::kNone where nothing limits them.
absl::StatusOr<int64_t> FreeStarts(Database& database, const std::string& tenant,
                                   const JobQuota& quota, absl::Time now);

// Of the tenants that have jobs under way, or had workers this month.
absl::StatusOr<TenantsAtQuota> CountTenantsAtQuota(Database& database, const JobQuotas& quotas,
                                                   absl::Time now);

// What the tenant used on the last `days` days up to `now`, the latest first; without days on which
// it used nothing.
absl::StatusOr<std::vector<UsedDay>> ReadUsage(Database& database, const std::string& tenant,
                                               absl::Time now, int days);

// Notes that a job of the tenant has ended.
absl::Status CountEndedJob(Database& database, const std::string& tenant, absl::Time now);

// Notes that a worker held a job of the tenant for so long, until `now`.
absl::Status ChargeWorkerTime(Database& database, const std::string& tenant, absl::Duration time,
                              absl::Time now);

}  // namespace likeness::server

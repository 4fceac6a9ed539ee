// The queue as rows: which job comes next, and what tenants have had.
#pragma once

#include <optional>
#include <string>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "likeness/v1/worker_service.pb.h"
#include "server/jobs/moment.h"
#include "server/jobs/policies/choice.h"
#include "server/jobs/policies/forecast.h"
#include "server/jobs/quota.h"
#include "server/jobs/sqlite/damaged_jobs.h"
#include "server/jobs/sqlite/database.h"

namespace likeness::server {

// Whether ChoosePending would find a job: a look that ends at the first.
absl::StatusOr<bool> AnyPending(Database& database, const v1::AcquireLeaseRequest& offer,
                                const Moment& now, const JobQuotas& quotas,
                                const DamagedJobs& damaged);

struct Choice {
  Candidate job;
  Shares shares;  // by which it was chosen
};

// The job that the worker should get now, chosen by policies/choice.h. It costs a few steps into an
// index for each tenant, priority and set of needs among the waiting jobs, however many jobs wait.
// Tenants that have had what they may have are left out, and jobs that cannot be read.
absl::StatusOr<std::optional<Choice>> ChoosePending(Database& database,
                                                    const v1::AcquireLeaseRequest& offer,
                                                    const Moment& now, const QueuePolicy& policy,
                                                    const JobQuotas& quotas,
                                                    const DamagedJobs& damaged);

// Notes that the chosen job's tenant was served with it. Call it inside the transaction that chose
// and leases the job.
absl::Status ChargeFor(Database& database, Choice choice, const QueuePolicy& policy);

// All that waits and may start now, and all that runs.
absl::StatusOr<QueueView> ReadQueue(Database& database, absl::Time now);

// Notes how long a job took that succeeded.
absl::Status NoteDuration(Database& database, const std::string& method, absl::Duration duration);

}  // namespace likeness::server

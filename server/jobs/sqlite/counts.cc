#include "server/jobs/sqlite/counts.h"

#include <algorithm>
#include <functional>
#include <map>
#include <string>
#include <tuple>
#include <utility>

#include "common/status_macros.h"
#include "server/jobs/sqlite/quotas.h"

namespace likeness::server {
namespace {

constexpr char kCounts[] =
    "SELECT state, method, COUNT(*) FROM jobs WHERE state <> 1 GROUP BY state, method";
// Grouped by the whole head of the index, so that SQLite steps through it and sorts nothing.
constexpr char kWaiting[] =
    "SELECT method, tenant, priority, COUNT(*), SUM(queue_time > ?1 OR not_before > ?1)"
    " FROM jobs INDEXED BY jobs_queue WHERE state = 1"
    " GROUP BY method, base_model, samplers, base_digest, requirements, tenant, priority";

// By priority, highest first, and method.
using Waiting = std::map<std::pair<int, std::string>, JobCount, std::greater<>>;

// The jobs that wait, by tenant.
absl::StatusOr<std::map<std::string, Waiting>> ReadWaiting(Database& database, absl::Time now) {
  std::map<std::string, Waiting> tenants;
  Query query = database.Prepare(kWaiting);
  query.Bind(now);
  for (;;) {
    ASSIGN_OR_RETURN(bool found, query.Step());
    if (!found) return tenants;
    const auto priority = static_cast<int>(query.Integer(2));
    JobCount& jobs = tenants[query.String(1)][{priority, query.String(0)}];
    jobs.count += query.Integer(3);
    jobs.scheduled += query.Integer(4);
  }
}

}  // namespace

absl::StatusOr<std::vector<JobCount>> ReadCounts(Database& database, const JobQuotas& quotas,
                                                 const Moment& now) {
  std::vector<JobCount> counts;
  {
    Query query = database.Prepare(kCounts);
    for (;;) {
      ASSIGN_OR_RETURN(bool found, query.Step());
      if (!found) break;
      counts.push_back({.state = static_cast<v1::JobState>(query.Integer(0)),
                        .method = query.String(1),
                        .count = query.Integer(2)});
    }
  }
  ASSIGN_OR_RETURN(const auto tenants, ReadWaiting(database, now.steady));
  Waiting waiting;
  for (const auto& [tenant, groups] : tenants) {
    ASSIGN_OR_RETURN(int64_t free, FreeStarts(database, tenant, quotas(tenant), now.wall));
    for (const auto& [group, jobs] : groups) {
      const int64_t ready = jobs.count - jobs.scheduled;
      const int64_t may_start = std::min(ready, free);
      free -= may_start;
      JobCount& sum = waiting[group];
      sum.count += jobs.count;
      sum.scheduled += jobs.scheduled;
      sum.over_quota += ready - may_start;
    }
  }
  for (auto& [group, jobs] : waiting) {
    jobs.state = v1::JOB_STATE_PENDING;
    std::tie(jobs.priority, jobs.method) = group;
    counts.push_back(std::move(jobs));
  }
  return counts;
}

}  // namespace likeness::server

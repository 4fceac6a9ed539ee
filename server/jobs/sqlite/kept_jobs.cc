#include "server/jobs/sqlite/kept_jobs.h"

#include <algorithm>

#include "common/status_macros.h"
#include "server/jobs/job_state.h"

namespace likeness::server {
namespace {

constexpr char kCount[] =
    "INSERT INTO kept (tenant, jobs, bytes) VALUES (?, ?, ?) ON CONFLICT (tenant) DO UPDATE SET"
    " jobs = jobs + excluded.jobs, bytes = bytes + excluded.bytes";
constexpr char kBeyond[] = "SELECT 1 FROM kept WHERE tenant = ? AND (jobs > ? OR bytes > ?)";
constexpr char kFirst[] =
    "SELECT key FROM jobs INDEXED BY jobs_by_end WHERE tenant = ? AND end_time < "
    "9223372036854775807 ORDER BY end_time LIMIT ?";

}  // namespace

std::optional<int64_t> KeptBytes(const v1::Job& job) {
  if (!IsTerminal(job.state())) return std::nullopt;
  return static_cast<int64_t>(job.ByteSizeLong());
}

absl::Status CountKept(Database& database, const std::string& tenant, int jobs, int64_t bytes) {
  return database.Prepare(kCount).Bind(tenant).Bind(jobs).Bind(jobs * bytes).Run();
}

absl::StatusOr<std::optional<int64_t>> FirstBeyond(Database& database, const std::string& tenant,
                                                   const RetentionPolicy& policy,
                                                   const std::vector<int64_t>& except) {
  {
    Query beyond = database.Prepare(kBeyond);
    beyond.Bind(tenant).Bind(policy.jobs_per_tenant).Bind(policy.bytes_per_tenant);
    ASSIGN_OR_RETURN(bool found, beyond.Step());
    if (!found) return std::nullopt;
  }
  Query first = database.Prepare(kFirst);
  first.Bind(tenant).Bind(static_cast<int64_t>(except.size()) + 1);
  for (;;) {
    ASSIGN_OR_RETURN(bool found, first.Step());
    if (!found) return std::nullopt;
    const int64_t key = first.Integer(0);
    if (std::find(except.begin(), except.end(), key) == except.end()) return key;
  }
}

}  // namespace likeness::server

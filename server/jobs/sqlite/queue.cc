#include "server/jobs/sqlite/queue.h"

#include <algorithm>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_split.h"
#include "common/status_macros.h"
#include "server/jobs/sqlite/quotas.h"
#include "server/jobs/sqlite/requirements_text.h"

namespace likeness::server {
namespace {

// All of these step through two indexes, from one group of jobs to the next and to the oldest job
// of each. Left to itself, SQLite would rather sort all jobs that wait.
constexpr char kNextNeeds[] =
    "SELECT method, base_model, samplers, base_digest, requirements FROM jobs INDEXED BY jobs_queue"
    " WHERE state = 1"
    " AND (method, base_model, samplers, base_digest, requirements) > (?, ?, ?, ?, ?)"
    " ORDER BY method, base_model, samplers, base_digest, requirements LIMIT 1";
constexpr char kNextTenant[] =
    "SELECT tenant, priority FROM jobs INDEXED BY jobs_queue WHERE state = 1 AND method = ?"
    " AND base_model = ? AND samplers = ? AND base_digest = ? AND requirements = ?"
    " AND (tenant, priority) > (?, ?) ORDER BY tenant, priority LIMIT 1";
constexpr char kOldest[] =
    "SELECT key, queue_time FROM jobs INDEXED BY jobs_queue WHERE state = 1 AND method = ?"
    " AND base_model = ? AND samplers = ? AND base_digest = ? AND requirements = ? AND tenant = ?"
    " AND priority = ? AND queue_time <= ? AND not_before <= ? ORDER BY queue_time LIMIT 1";
constexpr char kNextOfModel[] =
    "SELECT method, base_model, samplers, base_digest, requirements, tenant, priority FROM jobs"
    " INDEXED BY jobs_queue_by_model WHERE state = 1 AND model = ?"
    " AND (method, base_model, samplers, base_digest, requirements, tenant, priority)"
    " > (?, ?, ?, ?, ?, ?, ?)"
    " ORDER BY method, base_model, samplers, base_digest, requirements, tenant, priority LIMIT 1";
constexpr char kOldestOfModel[] =
    "SELECT key, queue_time FROM jobs INDEXED BY jobs_queue_by_model WHERE state = 1 AND model = ?"
    " AND method = ? AND base_model = ? AND samplers = ? AND base_digest = ? AND requirements = ?"
    " AND tenant = ? AND priority = ? AND queue_time <= ? AND not_before <= ?"
    " ORDER BY queue_time LIMIT 1";
constexpr char kRunning[] =
    "SELECT tenant, COUNT(*) FROM jobs INDEXED BY jobs_running WHERE state IN (2, 3) GROUP BY "
    "tenant";
constexpr char kShares[] = "SELECT tenant, served FROM shares";
constexpr char kVirtualTime[] = "SELECT value FROM meta WHERE name = 'virtual_time'";
constexpr char kSetVirtualTime[] = "UPDATE meta SET value = ? WHERE name = 'virtual_time'";
constexpr char kSetShare[] =
    "INSERT INTO shares (tenant, served) VALUES (?, ?)"
    " ON CONFLICT (tenant) DO UPDATE SET served = excluded.served";
constexpr char kForgetShares[] = "DELETE FROM shares WHERE served <= ?";  // as good as none
constexpr char kDuration[] = "SELECT mean, runs FROM durations WHERE method = ?";
constexpr char kSetDuration[] =
    "INSERT INTO durations (method, mean, runs) VALUES (?, ?, 1)"
    " ON CONFLICT (method) DO UPDATE SET mean = excluded.mean, runs = runs + 1";
constexpr char kDurations[] = "SELECT method, mean FROM durations";
constexpr char kWaiting[] =
    "SELECT method, tenant, priority, queue_time, key FROM jobs INDEXED BY jobs_queue"
    " WHERE state = 1 AND queue_time <= ? AND not_before <= ?";
constexpr char kAttempts[] =
    "SELECT method, attempt_time FROM jobs INDEXED BY jobs_running WHERE state IN (2, 3)";

constexpr absl::Duration kUnknownDuration = absl::Minutes(1);
constexpr absl::Duration kLeastCost = absl::Seconds(1);

// What the first columns of the indexes tell jobs apart by.
struct NeedsColumns {
  std::string method, base_model, samplers, base_digest, requirements;

  static NeedsColumns From(const Query& row) {
    return {row.String(0), row.String(1), row.String(2), row.String(3), row.String(4)};
  }
  void BindTo(Query& query) const {
    query.Bind(method).Bind(base_model).Bind(samplers).Bind(base_digest).Bind(requirements);
  }
  Needs Parsed() const {
    Needs needs;
    needs.method = method;
    needs.base_model = base_model;
    needs.base_model_digest = base_digest;
    needs.samplers = absl::StrSplit(samplers, ',', absl::SkipEmpty());
    ParseRequirements(requirements, needs);
    return needs;
  }
};

// Adds the job that `oldest` finds, if any, as one of the group.
absl::Status AddOldest(Query oldest, Candidate group, std::vector<Candidate>& candidates) {
  ASSIGN_OR_RETURN(bool found, oldest.Step());
  if (!found) return absl::OkStatus();
  group.key = oldest.Integer(0);
  group.queue_time = oldest.Time(1);
  candidates.push_back(std::move(group));
  return absl::OkStatus();
}

// The oldest job of each tenant and priority with these needs.
absl::Status AddTenants(Database& database, const NeedsColumns& columns, const Needs& needs,
                        absl::Time now, std::vector<Candidate>& candidates) {
  std::string tenant;
  int64_t priority = 0;
  for (;;) {
    {
      Query next = database.Prepare(kNextTenant);
      columns.BindTo(next);
      ASSIGN_OR_RETURN(bool found, next.Bind(tenant).Bind(priority).Step());
      if (!found) return absl::OkStatus();
      tenant = next.String(0);
      priority = next.Integer(1);
    }
    Query oldest = database.Prepare(kOldest);
    columns.BindTo(oldest);
    oldest.Bind(tenant).Bind(priority).Bind(now).Bind(now);
    Candidate group;
    group.tenant = tenant;
    group.priority = static_cast<int>(priority);
    group.needs = needs;
    group.model = needs.base_model;
    RETURN_IF_ERROR(AddOldest(std::move(oldest), std::move(group), candidates));
  }
}

absl::Status AddRunnable(Database& database, const v1::AcquireLeaseRequest& offer, absl::Time now,
                         std::vector<Candidate>& candidates) {
  for (NeedsColumns columns;;) {
    {
      Query next = database.Prepare(kNextNeeds);
      columns.BindTo(next);
      ASSIGN_OR_RETURN(bool found, next.Step());
      if (!found) return absl::OkStatus();
      columns = NeedsColumns::From(next);
    }
    const Needs needs = columns.Parsed();
    if (!CanRun(needs, offer)) continue;
    RETURN_IF_ERROR(AddTenants(database, columns, needs, now, candidates));
  }
}

// The oldest job of each priority and set of needs that draws with a personalized model.
absl::Status AddOfModel(Database& database, const std::string& model, absl::Time now,
                        std::vector<Candidate>& candidates) {
  NeedsColumns columns;
  std::string tenant;
  int64_t priority = 0;
  for (;;) {
    {
      Query next = database.Prepare(kNextOfModel);
      next.Bind(model);
      columns.BindTo(next);
      ASSIGN_OR_RETURN(bool found, next.Bind(tenant).Bind(priority).Step());
      if (!found) return absl::OkStatus();
      columns = NeedsColumns::From(next);
      tenant = next.String(5);
      priority = next.Integer(6);
    }
    Query oldest = database.Prepare(kOldestOfModel);
    oldest.Bind(model);
    columns.BindTo(oldest);
    oldest.Bind(tenant).Bind(priority).Bind(now).Bind(now);
    Candidate group;
    group.tenant = tenant;
    group.priority = static_cast<int>(priority);
    group.needs = columns.Parsed();
    group.model = model;
    RETURN_IF_ERROR(AddOldest(std::move(oldest), std::move(group), candidates));
  }
}

absl::StatusOr<Shares> ReadShares(Database& database) {
  Shares shares;
  {
    Query query = database.Prepare(kVirtualTime);
    RETURN_IF_ERROR(query.Run());
    shares.virtual_time = absl::Microseconds(query.Integer(0));
  }
  Query served = database.Prepare(kShares);
  for (;;) {
    ASSIGN_OR_RETURN(bool found, served.Step());
    if (!found) break;
    shares.tenants[served.String(0)].served = absl::Microseconds(served.Integer(1));
  }
  Query running = database.Prepare(kRunning);
  for (;;) {
    ASSIGN_OR_RETURN(bool found, running.Step());
    if (!found) return shares;
    shares.tenants[running.String(0)].running = static_cast<int>(running.Integer(1));
  }
}

// The candidates of tenants that may start no more go.
absl::Status DropThoseAtTheirLimit(Database& database, const JobQuotas& quotas, absl::Time now,
                                   std::vector<Candidate>& candidates) {
  std::map<std::string, bool> may_start;  // by tenant
  for (const Candidate& candidate : candidates) {
    const auto [known, fresh] = may_start.emplace(candidate.tenant, true);
    if (!fresh) continue;
    ASSIGN_OR_RETURN(known->second,
                     MayStart(database, candidate.tenant, quotas(candidate.tenant), now));
  }
  std::erase_if(candidates,
                [&](const Candidate& candidate) { return !may_start[candidate.tenant]; });
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<std::optional<Candidate>> ChoosePending(Database& database,
                                                       const v1::AcquireLeaseRequest& offer,
                                                       absl::Time now, const QueuePolicy& policy,
                                                       const JobQuotas& quotas) {
  std::vector<Candidate> candidates;
  RETURN_IF_ERROR(AddRunnable(database, offer, now, candidates));
  for (const std::string& model : offer.resident_models()) {
    // Those of base models are there already: their jobs need the model.
    if (absl::StartsWith(model, "models/")) continue;
    RETURN_IF_ERROR(AddOfModel(database, model, now, candidates));
  }
  RETURN_IF_ERROR(DropThoseAtTheirLimit(database, quotas, now, candidates));
  if (candidates.empty()) return std::nullopt;
  ASSIGN_OR_RETURN(const Shares shares, ReadShares(database));
  const auto chosen = ChooseJob(candidates, shares, offer, now, policy);
  if (!chosen) return std::nullopt;
  return std::move(candidates[*chosen]);
}

absl::Status ChargeFor(Database& database, const Candidate& job, const QueuePolicy& policy) {
  ASSIGN_OR_RETURN(Shares shares, ReadShares(database));
  absl::Duration cost = kUnknownDuration;
  {
    Query query = database.Prepare(kDuration);
    ASSIGN_OR_RETURN(bool known, query.Bind(job.needs.method).Step());
    if (known) cost = std::max(absl::Microseconds(query.Integer(0)), kLeastCost);
  }
  ChargeTenant(job.tenant, cost, policy, shares);
  const int64_t now = absl::ToInt64Microseconds(shares.virtual_time);
  const int64_t served = absl::ToInt64Microseconds(shares.tenants[job.tenant].served);
  RETURN_IF_ERROR(database.Prepare(kSetVirtualTime).Bind(now).Run());
  RETURN_IF_ERROR(database.Prepare(kSetShare).Bind(job.tenant).Bind(served).Run());
  return database.Prepare(kForgetShares).Bind(now).Run();
}

absl::StatusOr<QueueView> ReadQueue(Database& database, absl::Time now) {
  QueueView view;
  Query waiting = database.Prepare(kWaiting);
  waiting.Bind(now).Bind(now);
  for (;;) {
    ASSIGN_OR_RETURN(bool found, waiting.Step());
    if (!found) break;
    ++view.methods[waiting.String(0)];
    view.waiting.push_back({.tenant = waiting.String(1),
                            .priority = static_cast<int>(waiting.Integer(2)),
                            .queue_time = waiting.Time(3),
                            .not_before = absl::InfinitePast(),
                            .key = waiting.Integer(4)});
  }
  Query attempts = database.Prepare(kAttempts);
  for (;;) {
    ASSIGN_OR_RETURN(bool found, attempts.Step());
    if (!found) break;
    view.running.push_back({attempts.String(0), attempts.Time(1)});
  }
  Query durations = database.Prepare(kDurations);
  for (;;) {
    ASSIGN_OR_RETURN(bool found, durations.Step());
    if (!found) return view;
    view.durations[durations.String(0)] = absl::Microseconds(durations.Integer(1));
  }
}

absl::Status NoteDuration(Database& database, const std::string& method, absl::Duration duration) {
  absl::Duration mean = duration;
  {
    Query query = database.Prepare(kDuration);
    ASSIGN_OR_RETURN(bool known, query.Bind(method).Step());
    if (known) {
      mean = MeanDuration(absl::Microseconds(query.Integer(0)), query.Integer(1), duration);
    }
  }
  return database.Prepare(kSetDuration).Bind(method).Bind(absl::ToInt64Microseconds(mean)).Run();
}

}  // namespace likeness::server

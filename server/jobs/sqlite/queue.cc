#include "server/jobs/sqlite/queue.h"

#include <algorithm>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "common/status_macros.h"
#include "server/jobs/sqlite/quotas.h"
#include "server/jobs/sqlite/requirements_text.h"

namespace likeness::server {
namespace {

// All of these step through two indexes, from one group of jobs to the next and to the oldest job
// of each. Left to itself, SQLite would rather sort all jobs that wait.
//
// SQLite looks a row value up in an index from the first row that equals it, and would step through
// all jobs of the group at hand. So each bound ends in x'' for the column that follows in the
// index: a blob is greater than any text or number there.
constexpr char kNextNeeds[] =
    "SELECT method, base_model, samplers, base_digest, requirements FROM jobs INDEXED BY jobs_queue"
    " WHERE state = 1"
    " AND (method, base_model, samplers, base_digest, requirements, tenant)"
    " > (?, ?, ?, ?, ?, x'')"
    " ORDER BY method, base_model, samplers, base_digest, requirements LIMIT 1";
constexpr char kNextTenant[] =
    "SELECT tenant, priority FROM jobs INDEXED BY jobs_queue WHERE state = 1 AND method = ?"
    " AND base_model = ? AND samplers = ? AND base_digest = ? AND requirements = ?"
    " AND (tenant, priority, queue_time) > (?, ?, x'') ORDER BY tenant, priority LIMIT 1";
constexpr char kOldest[] =
    "SELECT key, queue_time FROM jobs INDEXED BY jobs_queue WHERE state = 1 AND method = ?"
    " AND base_model = ? AND samplers = ? AND base_digest = ? AND requirements = ? AND tenant = ?"
    " AND priority = ? AND queue_time <= ? AND not_before <= ? ORDER BY queue_time";
constexpr char kNextOfModel[] =
    "SELECT method, base_model, samplers, base_digest, requirements, tenant, priority FROM jobs"
    " INDEXED BY jobs_queue_by_model WHERE state = 1 AND model = ?"
    " AND (method, base_model, samplers, base_digest, requirements, tenant, priority, queue_time)"
    " > (?, ?, ?, ?, ?, ?, ?, x'')"
    " ORDER BY method, base_model, samplers, base_digest, requirements, tenant, priority LIMIT 1";
constexpr char kOldestOfModel[] =
    "SELECT key, queue_time FROM jobs INDEXED BY jobs_queue_by_model WHERE state = 1 AND model = ?"
    " AND method = ? AND base_model = ? AND samplers = ? AND base_digest = ? AND requirements = ?"
    " AND tenant = ? AND priority = ? AND queue_time <= ? AND not_before <= ?"
    " ORDER BY queue_time";
// From one list of models to the next that begins with the same one: '-' follows ','.
constexpr char kNextList[] =
    "SELECT model FROM jobs INDEXED BY jobs_queue_by_model WHERE state = 1"
    " AND model > ? AND model < ? || '-' ORDER BY model LIMIT 1";
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
// A worker has few models in memory. What is beyond is looked for by age alone.
constexpr size_t kMostResident = 16;
constexpr int kMostLists = 16;  // of models that begin with one of those in memory

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

// Is shown one job after the other; false ends it.
using Visit = absl::FunctionRef<absl::StatusOr<bool>(Candidate)>;

// Shows the job that `oldest` finds, if any, as one of the group. False: `visit` wants no more.
absl::StatusOr<bool> VisitOldest(Query oldest, Candidate group, const DamagedJobs& damaged,
                                 Visit visit) {
  do {
    ASSIGN_OR_RETURN(bool found, oldest.Step());
    if (!found) return true;
    group.key = oldest.Integer(0);
  } while (damaged.Has(group.key));
  group.queue_time = oldest.Time(1);
  return visit(std::move(group));
}

// The oldest job of each tenant and priority with these needs.
absl::StatusOr<bool> VisitTenants(Database& database, const NeedsColumns& columns,
                                  const Needs& needs, absl::Time now, const DamagedJobs& damaged,
                                  Visit visit) {
  std::string tenant;
  int64_t priority = 0;
  for (;;) {
    {
      Query next = database.Prepare(kNextTenant);
      columns.BindTo(next);
      ASSIGN_OR_RETURN(bool found, next.Bind(tenant).Bind(priority).Step());
      if (!found) return true;
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
    group.models = {needs.base_model};
    ASSIGN_OR_RETURN(bool more, VisitOldest(std::move(oldest), std::move(group), damaged, visit));
    if (!more) return false;
  }
}

// The same with any needs that the worker meets.
absl::Status VisitRunnable(Database& database, const v1::AcquireLeaseRequest& offer, absl::Time now,
                           const DamagedJobs& damaged, Visit visit) {
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
    ASSIGN_OR_RETURN(bool more, VisitTenants(database, columns, needs, now, damaged, visit));
    if (!more) return absl::OkStatus();
  }
}

// The oldest job of each priority and set of needs that uses exactly these models, as the column
// `model` names them.
absl::Status VisitOfModels(Database& database, const std::string& model, absl::Time now,
                           const DamagedJobs& damaged, Visit visit) {
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
    group.models = absl::StrSplit(model, ',');
    ASSIGN_OR_RETURN(bool more, VisitOldest(std::move(oldest), std::move(group), damaged, visit));
    if (!more) return absl::OkStatus();
  }
}

// The same of the personalized models that the worker has in memory, alone, with any adapters over
// them, and as the only adapter of a base model that is in memory. Jobs of base models alone are
// not looked for: they are of the groups that are visited anyway, since they need the model.
absl::Status VisitResident(Database& database, const v1::AcquireLeaseRequest& offer, absl::Time now,
                           const DamagedJobs& damaged, Visit visit) {
  std::vector<std::string> bases;
  std::vector<std::string> personalized;
  for (const std::string& model : offer.resident_models()) {
    auto& models = absl::StartsWith(model, "baseModels/") ? bases : personalized;
    if (models.size() < kMostResident) models.push_back(model);
  }
  for (const std::string& model : personalized) {
    RETURN_IF_ERROR(VisitOfModels(database, model, now, damaged, visit));
    std::string list = absl::StrCat(model, ",");
    for (int lists = 0; lists < kMostLists; ++lists) {
      {
        Query next = database.Prepare(kNextList);
        ASSIGN_OR_RETURN(const bool found, next.Bind(list).Bind(model).Step());
        if (!found) break;
        list = next.String(0);
      }
      RETURN_IF_ERROR(VisitOfModels(database, list, now, damaged, visit));
    }
    for (const std::string& base : bases) {
      RETURN_IF_ERROR(VisitOfModels(database, absl::StrCat(base, ",", model), now, damaged, visit));
    }
  }
  return absl::OkStatus();
}

// Who runs how many jobs is read only where it decides between tenants: it steps through all of
// them.
absl::StatusOr<Shares> ReadShares(Database& database, bool running) {
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
  if (!running) return shares;
  Query held = database.Prepare(kRunning);
  for (;;) {
    ASSIGN_OR_RETURN(bool found, held.Step());
    if (!found) return shares;
    shares.tenants[held.String(0)].running = static_cast<int>(held.Integer(1));
  }
}

// Which tenants may start another job; each is asked for once.
class Allowance {
 public:
  Allowance(Database& database, const JobQuotas& quotas, absl::Time now)
      : database_(database), quotas_(quotas), now_(now) {}

  absl::StatusOr<bool> Allows(const std::string& tenant) {
    const auto [known, fresh] = may_start_.emplace(tenant, true);
    if (fresh) {
      ASSIGN_OR_RETURN(const int64_t free, FreeStarts(database_, tenant, quotas_(tenant), now_));
      known->second = free > 0;
    }
    return known->second;
  }

 private:
  Database& database_;
  const JobQuotas& quotas_;
  const absl::Time now_;
  std::map<std::string, bool> may_start_;
};

}  // namespace

absl::StatusOr<bool> AnyPending(Database& database, const v1::AcquireLeaseRequest& offer,
                                const Moment& now, const JobQuotas& quotas,
                                const DamagedJobs& damaged) {
  Allowance allowance(database, quotas, now.wall);
  bool any = false;
  RETURN_IF_ERROR(VisitRunnable(database, offer, now.steady, damaged,
                                [&](const Candidate& job) -> absl::StatusOr<bool> {
                                  ASSIGN_OR_RETURN(any, allowance.Allows(job.tenant));
                                  return !any;
                                }));
  return any;
}

absl::StatusOr<std::optional<Choice>> ChoosePending(Database& database,
                                                    const v1::AcquireLeaseRequest& offer,
                                                    const Moment& now, const QueuePolicy& policy,
                                                    const JobQuotas& quotas,
                                                    const DamagedJobs& damaged) {
  Allowance allowance(database, quotas, now.wall);
  std::vector<Candidate> candidates;
  const auto add = [&](Candidate job) -> absl::StatusOr<bool> {
    ASSIGN_OR_RETURN(bool allowed, allowance.Allows(job.tenant));
    if (allowed) candidates.push_back(std::move(job));
    return true;
  };
  RETURN_IF_ERROR(VisitRunnable(database, offer, now.steady, damaged, add));
  RETURN_IF_ERROR(VisitResident(database, offer, now.steady, damaged, add));
  if (candidates.empty()) return std::nullopt;
  const bool several = std::any_of(candidates.begin(), candidates.end(), [&](const Candidate& job) {
    return job.tenant != candidates.front().tenant;
  });
  ASSIGN_OR_RETURN(Shares shares, ReadShares(database, /*running=*/several));
  const auto chosen = ChooseJob(candidates, shares, offer, now.steady, policy);
  if (!chosen) return std::nullopt;
  return Choice{std::move(candidates[*chosen]), std::move(shares)};
}

absl::Status ChargeFor(Database& database, Choice choice, const QueuePolicy& policy) {
  auto& [job, shares] = choice;
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

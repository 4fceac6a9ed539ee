#include "server/jobs/sqlite/quotas.h"

#include <algorithm>
#include <optional>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/error_details.h"
#include "common/status_macros.h"
#include "server/base/planted.h"

namespace likeness::server {
namespace {

constexpr char kWaiting[] = "SELECT COUNT(*) FROM jobs WHERE state = 1 AND tenant = ?";
constexpr char kUsed[] =
    "SELECT COALESCE(SUM(worker_time), 0) FROM usage WHERE tenant = ? AND day >= ?";
constexpr char kRunning[] = "SELECT COUNT(*) FROM jobs WHERE state IN (2, 3) AND tenant = ?";
constexpr char kCharge[] =
    "UPDATE usage SET worker_time = worker_time + ?3 WHERE tenant = ?1 AND day = ?2";
constexpr char kCountEnded[] =
    "UPDATE usage SET ended_jobs = ended_jobs + ?3 WHERE tenant = ?1 AND day = ?2";
constexpr char kBeginDay[] = "INSERT INTO usage (tenant, day, worker_time) VALUES (?, ?, 0)";
constexpr char kUsage[] =
    "SELECT day, worker_time, ended_jobs FROM usage WHERE tenant = ? AND day > ?"
    " ORDER BY day DESC";
constexpr char kTenants[] =
    "SELECT tenant FROM jobs WHERE state = 1 UNION SELECT tenant FROM jobs WHERE state IN (2, 3)"
    " UNION SELECT tenant FROM usage WHERE day >= ?";
constexpr char kForget[] = "DELETE FROM usage WHERE tenant = ? AND day < ?";

constexpr int kKeptDays = 62;

// A day or a month of UTC.
struct Period {
  absl::Time begin;
  absl::Time end;
};

Period DayOf(absl::Time now) {
  const auto day = absl::ToCivilDay(now, absl::UTCTimeZone());
  return {absl::FromCivil(day, absl::UTCTimeZone()), absl::FromCivil(day + 1, absl::UTCTimeZone())};
}

Period MonthOf(absl::Time now) {
  const auto month = absl::ToCivilMonth(now, absl::UTCTimeZone());
  return {absl::FromCivil(month, absl::UTCTimeZone()),
          absl::FromCivil(month + 1, absl::UTCTimeZone())};
}

int64_t DayNumber(absl::Time time) { return absl::ToUnixSeconds(time) / (24 * 60 * 60); }

absl::StatusOr<absl::Duration> Spent(Database& database, const std::string& tenant,
                                     absl::Time begin) {
  Query used = database.Prepare(kUsed);
  RETURN_IF_ERROR(used.Bind(tenant).Bind(DayNumber(begin)).Run());
  return absl::Microseconds(used.Integer(0));
}

// A tenant's jobs, if there are as many as it may have. `count` is a literal of above, as Prepare
// wants it.
absl::StatusOr<std::optional<int64_t>> JobsAtLimit(Database& database, const char* count,
                                                   const std::string& tenant, int64_t most) {
  if (most == JobQuota::kNone) return std::nullopt;
  Query query = database.Prepare(count);
  RETURN_IF_ERROR(query.Bind(tenant).Run());
  if (query.Integer(0) < most + int64_t{Planted("quota-exceeded")}) return std::nullopt;
  return query.Integer(0);
}

absl::StatusOr<bool> SpentSince(Database& database, absl::Time begin, const std::string& tenant,
                                absl::Duration allowed) {
  if (allowed == absl::InfiniteDuration()) return false;
  ASSIGN_OR_RETURN(const absl::Duration spent, Spent(database, tenant, begin));
  return spent >= allowed;
}

// The first period whose time is spent, with what it allows.
struct SpentPeriod {
  absl::string_view name;
  absl::Duration allowed;
  absl::Time end;
};

absl::StatusOr<std::optional<SpentPeriod>> FindSpent(Database& database, const std::string& tenant,
                                                     const JobQuota& quota, absl::Time now) {
  struct Limit {
    absl::string_view name;
    absl::Duration allowed;
    Period (*period)(absl::Time);
  };
  for (const auto& [name, allowed, period_of] :
       {Limit{"month", quota.worker_time_per_month, MonthOf},
        Limit{"day", quota.worker_time_per_day, DayOf}}) {
    const Period period = period_of(now);
    ASSIGN_OR_RETURN(const bool spent, SpentSince(database, period.begin, tenant, allowed));
    if (spent) return SpentPeriod{name, allowed, period.end};
  }
  return std::nullopt;
}

// Adds to the tenant's row of today. When a day begins, those that are no longer kept go.
// `addition` is a literal of above, as Prepare wants it.
absl::Status AddToday(Database& database, const char* addition, const std::string& tenant,
                      absl::Time now, int64_t amount) {
  const int64_t today = DayNumber(now);
  const auto add = [&] {
    return database.Prepare(addition).Bind(tenant).Bind(today).Bind(amount).Run();
  };
  RETURN_IF_ERROR(add());
  if (database.changes() == 1) return absl::OkStatus();
  RETURN_IF_ERROR(database.Prepare(kBeginDay).Bind(tenant).Bind(today).Run());
  RETURN_IF_ERROR(database.Prepare(kForget).Bind(tenant).Bind(today - kKeptDays).Run());
  return add();
}

}  // namespace

absl::Status CheckMayWait(Database& database, const std::string& tenant, const JobQuota& quota,
                          absl::Time now) {
  const std::string subject = absl::StrCat("tenants/", tenant);
  ASSIGN_OR_RETURN(const auto waiting,
                   JobsAtLimit(database, kWaiting, tenant, quota.max_pending_jobs));
  if (waiting) {
    return QuotaExceeded(
        subject, absl::StrCat(*waiting, " jobs wait; at most ", quota.max_pending_jobs, " may"),
        "max_pending_jobs", quota.max_pending_jobs);
  }
  ASSIGN_OR_RETURN(const auto spent, FindSpent(database, tenant, quota, now));
  if (!spent) return absl::OkStatus();
  return WithRetryDelay(
      QuotaExceeded(subject,
                    absl::StrCat("this ", spent->name, "'s ", absl::FormatDuration(spent->allowed),
                                 " of workers' time are spent"),
                    absl::StrCat("worker_seconds_per_", spent->name),
                    absl::ToInt64Seconds(spent->allowed)),
      spent->end - now);
}

absl::StatusOr<int64_t> FreeStarts(Database& database, const std::string& tenant,
                                   const JobQuota& quota, absl::Time now) {
  int64_t free = JobQuota::kNone;
  if (quota.max_running_jobs != JobQuota::kNone) {
    Query running = database.Prepare(kRunning);
    RETURN_IF_ERROR(running.Bind(tenant).Run());
    free = std::max<int64_t>(0, quota.max_running_jobs - running.Integer(0));
  }
  if (free == 0) return 0;
  ASSIGN_OR_RETURN(const auto spent, FindSpent(database, tenant, quota, now));
  return spent ? 0 : free;
}

absl::StatusOr<TenantsAtQuota> CountTenantsAtQuota(Database& database, const JobQuotas& quotas,
                                                   absl::Time now) {
  const absl::Time month = MonthOf(now).begin;
  std::vector<std::string> tenants;
  {
    Query query = database.Prepare(kTenants);
    query.Bind(DayNumber(month));
    for (;;) {
      ASSIGN_OR_RETURN(const bool found, query.Step());
      if (!found) break;
      tenants.push_back(query.String(0));
    }
  }
  TenantsAtQuota counts;
  for (const std::string& tenant : tenants) {
    const JobQuota quota = quotas(tenant);
    ASSIGN_OR_RETURN(const auto waiting,
                     JobsAtLimit(database, kWaiting, tenant, quota.max_pending_jobs));
    ASSIGN_OR_RETURN(const auto running,
                     JobsAtLimit(database, kRunning, tenant, quota.max_running_jobs));
    ASSIGN_OR_RETURN(const bool day,
                     SpentSince(database, DayOf(now).begin, tenant, quota.worker_time_per_day));
    ASSIGN_OR_RETURN(const bool spent,
                     SpentSince(database, month, tenant, quota.worker_time_per_month));
    counts.max_pending_jobs += waiting.has_value();
    counts.max_running_jobs += running.has_value();
    counts.worker_time_per_day += day;
    counts.worker_time_per_month += spent;
  }
  return counts;
}

absl::StatusOr<std::vector<UsedDay>> ReadUsage(Database& database, const std::string& tenant,
                                               absl::Time now, int days) {
  std::vector<UsedDay> used;
  Query query = database.Prepare(kUsage);
  query.Bind(tenant).Bind(DayNumber(now) - days);
  for (;;) {
    ASSIGN_OR_RETURN(const bool found, query.Step());
    if (!found) return used;
    used.push_back({absl::UnixEpoch() + query.Integer(0) * absl::Hours(24),
                    absl::Microseconds(query.Integer(1)), query.Integer(2)});
  }
}

absl::Status CountEndedJob(Database& database, const std::string& tenant, absl::Time now) {
  return AddToday(database, kCountEnded, tenant, now, 1);
}

absl::Status ChargeWorkerTime(Database& database, const std::string& tenant, absl::Duration time,
                              absl::Time now) {
  return AddToday(database, kCharge, tenant, now, absl::ToInt64Microseconds(time));
}

}  // namespace likeness::server

#include "server/jobs/sqlite/operations_table.h"

#include "common/status_macros.h"

namespace likeness::server {
namespace {

constexpr char kRunning[] =
    "SELECT worker, tenant, id FROM jobs WHERE state IN (2, 3) ORDER BY worker, key LIMIT ?";
constexpr char kGroups[] =
    "SELECT tenant, method, base_model, COUNT(*), SUM(queue_time > ?1 OR not_before > ?1),"
    " MIN(iif(queue_time > ?1 OR not_before > ?1, NULL, queue_time))"
    " FROM jobs INDEXED BY jobs_queue WHERE state = 1 GROUP BY tenant, method, base_model"
    " ORDER BY 4 DESC, 1, 2, 3 LIMIT ?2";
constexpr char kReadDrained[] = "SELECT worker, release_job FROM drained ORDER BY worker";
constexpr char kWriteDrained[] =
    "INSERT OR REPLACE INTO drained (worker, release_job, time) VALUES (?, ?, ?)";
constexpr char kForgetDrained[] =
    "DELETE FROM drained WHERE worker IN"
    " (SELECT worker FROM drained ORDER BY time DESC LIMIT -1 OFFSET ?)";
constexpr char kDeleteDrained[] = "DELETE FROM drained WHERE worker = ?";

constexpr int kMostDrained = 10'000;

}  // namespace

absl::StatusOr<std::vector<HeldJob>> ReadHeldJobs(Database& database, int limit) {
  std::vector<HeldJob> jobs;
  Query query = database.Prepare(kRunning);
  query.Bind(int64_t{limit});
  for (;;) {
    ASSIGN_OR_RETURN(const bool found, query.Step());
    if (!found) return jobs;
    jobs.push_back({query.String(0), {query.String(1), query.String(2)}});
  }
}

absl::StatusOr<std::vector<QueueGroup>> ReadQueueGroups(Database& database, absl::Time now,
                                                        int limit) {
  std::vector<QueueGroup> groups;
  Query query = database.Prepare(kGroups);
  query.Bind(now).Bind(int64_t{limit});
  for (;;) {
    ASSIGN_OR_RETURN(const bool found, query.Step());
    if (!found) return groups;
    QueueGroup& group = groups.emplace_back();
    group.tenant = query.String(0);
    group.method = query.String(1);
    group.base_model = query.String(2);
    group.waiting = query.Integer(3);
    group.scheduled = query.Integer(4);
    if (!query.IsNull(5)) group.oldest = now - query.Time(5);
  }
}

absl::StatusOr<std::vector<DrainedWorker>> ReadDrained(Database& database) {
  std::vector<DrainedWorker> workers;
  Query query = database.Prepare(kReadDrained);
  for (;;) {
    ASSIGN_OR_RETURN(const bool found, query.Step());
    if (!found) return workers;
    workers.push_back({query.String(0), query.Integer(1) != 0});
  }
}

absl::Status WriteDrained(Database& database, const DrainedWorker& worker, absl::Time now) {
  Query write = database.Prepare(kWriteDrained);
  write.Bind(worker.worker).Bind(int64_t{worker.release_job}).Bind(now);
  RETURN_IF_ERROR(write.Run());
  return database.Prepare(kForgetDrained).Bind(int64_t{kMostDrained}).Run();
}

absl::Status DeleteDrained(Database& database, const std::string& worker) {
  return database.Prepare(kDeleteDrained).Bind(worker).Run();
}

}  // namespace likeness::server

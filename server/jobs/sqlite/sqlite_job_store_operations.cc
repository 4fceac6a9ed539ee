// The part of the store that operators, webhooks and the audit log ask.
#include "absl/strings/str_cat.h"
#include "common/rpc_error.h"
#include "common/status_macros.h"
#include "server/jobs/sqlite/blob_names.h"
#include "server/jobs/sqlite/counts.h"
#include "server/jobs/sqlite/operations_table.h"
#include "server/jobs/sqlite/queries.h"
#include "server/jobs/sqlite/quotas.h"
#include "server/jobs/sqlite/rate_table.h"
#include "server/jobs/sqlite/sqlite_job_store.h"
#include "server/jobs/sqlite/webhook_table.h"

namespace likeness::server {
namespace {

constexpr char kCheckWritable[] =
    "INSERT OR REPLACE INTO meta (name, value) VALUES ('last_check', ?)";
constexpr char kCheckWhole[] = "PRAGMA quick_check(1)";
constexpr char kCountWaiting[] = "SELECT COUNT(*) FROM jobs WHERE state = 1";
constexpr char kAuditLines[] = "SELECT key, line FROM audit ORDER BY key LIMIT ?";
constexpr char kDropAuditLines[] = "DELETE FROM audit WHERE key <= ?";
constexpr char kCountAuditLines[] = "SELECT COUNT(*) FROM audit";

}  // namespace

absl::StatusOr<std::vector<DeviceRates>> SqliteJobStore::MeasuredRates(const std::string& digest,
                                                                       const std::string& method) {
  ASSIGN_OR_RETURN(auto database, readers_.Borrow());
  return ReadRates(*database, digest, method);
}

absl::StatusOr<std::vector<HeldJob>> SqliteJobStore::HeldJobs(int limit) {
  ASSIGN_OR_RETURN(auto database, readers_.Borrow());
  return ReadHeldJobs(*database, limit);
}

absl::StatusOr<std::vector<QueueGroup>> SqliteJobStore::QueueGroups(int limit) {
  ASSIGN_OR_RETURN(auto database, readers_.Borrow());
  return ReadQueueGroups(*database, clock_.Now().steady, limit);
}

absl::StatusOr<int64_t> SqliteJobStore::CountWaiting() {
  ASSIGN_OR_RETURN(auto database, readers_.Borrow());
  Query query = database->Prepare(kCountWaiting);
  RETURN_IF_ERROR(query.Run());
  return query.Integer(0);
}

absl::StatusOr<std::vector<UsedDay>> SqliteJobStore::Usage(const std::string& tenant, int days) {
  ASSIGN_OR_RETURN(auto database, readers_.Borrow());
  return ReadUsage(*database, tenant, clock_.Now().wall, days);
}

absl::StatusOr<std::vector<DrainedWorker>> SqliteJobStore::DrainedWorkers() {
  ASSIGN_OR_RETURN(auto database, readers_.Borrow());
  return ReadDrained(*database);
}

absl::Status SqliteJobStore::DrainWorker(const DrainedWorker& worker) {
  return writer_.Run([&](Transaction& transaction) {
    return WriteDrained(transaction.database, worker, clock_.Now().wall);
  });
}

absl::Status SqliteJobStore::UndrainWorker(const std::string& worker) {
  return writer_.Run(
      [&](Transaction& transaction) { return DeleteDrained(transaction.database, worker); });
}

absl::StatusOr<WebhookPage> SqliteJobStore::DueWebhookCalls(const WebhookQuery& query) {
  ASSIGN_OR_RETURN(auto database, readers_.Borrow());
  WebhookQuery stored = query;
  stored.now = clock_.FromProcess(query.now);
  ASSIGN_OR_RETURN(WebhookPage page, ReadDueWebhookCalls(*database, stored));
  for (WebhookTask& task : page.due) task.create_time = clock_.ToProcess(task.create_time);
  page.next_due = clock_.ToProcess(page.next_due);
  return page;
}

absl::Status SqliteJobStore::RecordWebhookCalls(const std::vector<WebhookVerdict>& verdicts) {
  return writer_.Run([&](Transaction& transaction) -> absl::Status {
    for (WebhookVerdict verdict : verdicts) {
      if (verdict.repeat) verdict.repeat = clock_.FromProcess(*verdict.repeat);
      verdict.next_progress = clock_.FromProcess(verdict.next_progress);
      RETURN_IF_ERROR(RecordWebhookCall(transaction.database, verdict));
    }
    return absl::OkStatus();
  });
}

absl::StatusOr<int64_t> SqliteJobStore::CountWebhookCalls() {
  ASSIGN_OR_RETURN(auto database, readers_.Borrow());
  return CountWebhookRows(*database);
}

absl::StatusOr<std::vector<JobCount>> SqliteJobStore::CountJobs() {
  ASSIGN_OR_RETURN(auto database, readers_.Borrow());
  return ReadCounts(*database, options_.quotas, clock_.Now());
}

absl::StatusOr<TenantsAtQuota> SqliteJobStore::CountTenantsAtQuota() {
  ASSIGN_OR_RETURN(auto database, readers_.Borrow());
  return server::CountTenantsAtQuota(*database, options_.quotas, clock_.Now().wall);
}

absl::Status SqliteJobStore::VisitBlobs(absl::FunctionRef<void(const NamedBlob&)> visit) {
  ASSIGN_OR_RETURN(auto database, readers_.BorrowWithoutTransaction());
  return VisitBlobNames(*database, visit);
}

absl::Status SqliteJobStore::CheckWritable() {
  return writer_.Run([&](Transaction& transaction) {
    return transaction.database.Prepare(kCheckWritable).Bind(clock_.Now().wall).Run();
  });
}

absl::Status SqliteJobStore::CheckWhole() {
  ASSIGN_OR_RETURN(auto database, readers_.BorrowWithoutTransaction());
  Query query = database->Prepare(kCheckWhole);
  RETURN_IF_ERROR(query.Run());
  if (query.String(0) == "ok") return absl::OkStatus();
  return RpcError(absl::StatusCode::kDataLoss, "STORE_DAMAGED",
                  absl::StrCat("jobs.sqlite is damaged: ", query.Bytes(0)));
}

absl::StatusOr<AuditLines> SqliteJobStore::ReadAuditLines(int limit) {
  ASSIGN_OR_RETURN(auto database, readers_.Borrow());
  Query query = database->Prepare(kAuditLines);
  query.Bind(limit);
  AuditLines read;
  for (;;) {
    ASSIGN_OR_RETURN(bool found, query.Step());
    if (!found) return read;
    read.last = query.Integer(0);
    read.lines.push_back(query.String(1));
  }
}

absl::Status SqliteJobStore::DropAuditLines(int64_t last) {
  return writer_.Run([&](Transaction& transaction) {
    return transaction.database.Prepare(kDropAuditLines).Bind(last).Run();
  });
}

absl::Status SqliteJobStore::CommitNote() {
  return writer_.Run([](Transaction&) { return absl::OkStatus(); });  // which adds the line
}

absl::StatusOr<int64_t> SqliteJobStore::CountAuditLines() {
  ASSIGN_OR_RETURN(auto database, readers_.Borrow());
  Query query = database->Prepare(kCountAuditLines);
  RETURN_IF_ERROR(query.Run());
  return query.Integer(0);
}

}  // namespace likeness::server

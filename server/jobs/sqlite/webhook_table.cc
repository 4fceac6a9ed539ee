#include "server/jobs/sqlite/webhook_table.h"

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_replace.h"
#include "common/status_macros.h"
#include "server/base/planted.h"
#include "server/jobs/job_state.h"

namespace likeness::server {
namespace {

constexpr char kInsert[] =
    "INSERT INTO webhook_calls (tenant, job, progress, receiver, seq, create_time, due, attempts,"
    " call) VALUES (?, ?, ?, ?, ?, ?, ?, 0, ?)"
    " ON CONFLICT (job) WHERE progress = 1 DO UPDATE SET"
    " seq = excluded.seq, create_time = excluded.create_time, call = excluded.call";
constexpr char kDropOldest[] =
    "DELETE FROM webhook_calls WHERE key IN (SELECT key FROM webhook_calls INDEXED BY"
    " webhook_calls_of_tenant WHERE tenant = ? AND progress = 0 ORDER BY key DESC"
    " LIMIT -1 OFFSET ?)";
constexpr char kDropProgress[] = "DELETE FROM webhook_calls WHERE job = ? AND progress = 1";
constexpr char kDue[] =
    "SELECT key, seq, attempts, create_time, call FROM webhook_calls"
    " WHERE due <= ? AND key NOT IN (SELECT value FROM json_each(?))"
    " AND tenant NOT IN (SELECT value FROM json_each(?))"
    " AND tenant || ' ' || receiver NOT IN (SELECT value FROM json_each(?))"
    " ORDER BY due, key LIMIT ?";
constexpr char kNextDue[] = "SELECT MIN(due) FROM webhook_calls WHERE due > ?";
constexpr char kDelete[] = "DELETE FROM webhook_calls WHERE key = ? AND seq = ?";
constexpr char kMostlyDelete[] =  // a planted bug
    "DELETE FROM webhook_calls WHERE key = ? AND seq = ? AND ABS(RANDOM()) % 4 > 0";
constexpr char kBegin[] = "UPDATE webhook_calls SET due = ?, attempts = 0 WHERE key = ?";
constexpr char kPostpone[] =
    "UPDATE webhook_calls SET due = ?, attempts = attempts + 1 WHERE key = ?";
constexpr char kCount[] = "SELECT COUNT(*) FROM webhook_calls";

// A JSON array of printable texts, as checked URLs are.
std::string JsonTexts(const std::vector<std::string>& texts) {
  const auto quote = [](std::string* out, const std::string& text) {
    absl::StrAppend(out, "\"", absl::StrReplaceAll(text, {{"\\", "\\\\"}, {"\"", "\\\""}}), "\"");
  };
  return absl::StrCat("[", absl::StrJoin(texts, ",", quote), "]");
}

}  // namespace

absl::StatusOr<int> InsertWebhookCalls(Database& database, const JobRecord& record,
                                       absl::Time now) {
  const v1::Job& job = record.job;
  if (!job.has_webhook() || record.new_events.empty()) return 0;
  ASSIGN_OR_RETURN(const JobName name, ParseJobName(job.name()));
  if (IsTerminal(job.state())) {
    RETURN_IF_ERROR(database.Prepare(kDropProgress).Bind(job.uid()).Run());
  }
  bool lasting = false;
  for (const v1::WebhookCall& call : WebhookCallsOf(record)) {
    if (Planted("webhook-lost") && call.event().seq() % 3 == 0) continue;
    const bool progress = call.event().has_progress();
    lasting = lasting || !progress;
    Query query = database.Prepare(kInsert);
    query.Bind(name.tenant)
        .Bind(job.uid())
        .Bind(progress ? 1 : 0)
        .Bind(ReceiverOf(job.webhook().url()));
    query.Bind(call.event().seq()).Bind(now).Bind(progress ? now + kProgressInterval : now);
    RETURN_IF_ERROR(query.BindBlob(call.SerializeAsString()).Run());
  }
  if (!lasting) return 0;  // progress does not count among those that are too many
  RETURN_IF_ERROR(database.Prepare(kDropOldest).Bind(name.tenant).Bind(kMostWebhookCalls).Run());
  return database.changes();
}

absl::StatusOr<WebhookPage> ReadDueWebhookCalls(Database& database, const WebhookQuery& query) {
  WebhookPage page;
  {
    Query rows = database.Prepare(kDue);
    rows.Bind(query.now).Bind(absl::StrCat("[", absl::StrJoin(query.except, ","), "]"));
    std::vector<std::string> receivers;
    for (const auto& [tenant, receiver] : query.except_receivers) {
      receivers.push_back(absl::StrCat(tenant, " ", receiver));
    }
    rows.Bind(JsonTexts(query.except_tenants)).Bind(JsonTexts(receivers)).Bind(query.limit);
    for (;;) {
      ASSIGN_OR_RETURN(bool found, rows.Step());
      if (!found) break;
      WebhookTask& task = page.due.emplace_back();
      task.key = rows.Integer(0);
      task.seq = rows.Integer(1);
      task.attempts = static_cast<int>(rows.Integer(2));
      task.create_time = rows.Time(3);
      task.call.ParseFromString(rows.String(4));
    }
  }
  Query next = database.Prepare(kNextDue);
  RETURN_IF_ERROR(next.Bind(query.now).Run());
  if (!next.IsNull(0)) page.next_due = next.Time(0);
  return page;
}

absl::Status RecordWebhookCall(Database& database, const WebhookVerdict& verdict) {
  if (verdict.repeat) {
    return database.Prepare(kPostpone).Bind(*verdict.repeat).Bind(verdict.key).Run();
  }
  const char* done = Planted("webhook-doubled") ? kMostlyDelete : kDelete;
  RETURN_IF_ERROR(database.Prepare(done).Bind(verdict.key).Bind(verdict.seq).Run());
  if (database.changes() == 1) return absl::OkStatus();
  return database.Prepare(kBegin).Bind(verdict.next_progress).Bind(verdict.key).Run();
}

absl::StatusOr<int64_t> CountWebhookRows(Database& database) {
  Query query = database.Prepare(kCount);
  RETURN_IF_ERROR(query.Run());
  return query.Integer(0);
}

}  // namespace likeness::server

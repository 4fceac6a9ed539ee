// The part of the store that changes a job and what hangs on it, and what time makes of jobs.
#include <utility>

#include "common/job_spec.h"
#include "common/status_macros.h"
#include "server/base/planted.h"
#include "server/jobs/job_state.h"
#include "server/jobs/sqlite/event_table.h"
#include "server/jobs/sqlite/kept_jobs.h"
#include "server/jobs/sqlite/queue.h"
#include "server/jobs/sqlite/quotas.h"
#include "server/jobs/sqlite/rate_table.h"
#include "server/jobs/sqlite/sqlite_job_store.h"
#include "server/jobs/sqlite/webhook_table.h"
#include "server/jobs/transitions.h"

namespace likeness::server {
namespace {

constexpr char kSetModel[] = "UPDATE models SET model = ? WHERE job = ?";
constexpr char kDropModel[] = "DELETE FROM models WHERE job = ?";
// ?1: the date less the queue's clock; ?2: the queue's clock. A job that has failed waits for its
// back-off.
constexpr char kReschedule[] =
    "UPDATE jobs SET"
    " deadline = iif(deadline < 9223372036854775807, deadline + schedule_time - ?1 - not_before,"
    " deadline),"
    " queue_time = schedule_time - ?1, not_before = schedule_time - ?1, version = version + 1"
    " WHERE state = 1 AND schedule_time > 0 AND failures = 0 AND not_before > ?2";
// The date is followed where it was set by more than this.
constexpr absl::Duration kSetClock = absl::Milliseconds(100);
constexpr int kSweptAtOnce = 50;  // jobs: others want to write too

}  // namespace

absl::Status SqliteJobStore::NoteKept(Transaction& transaction, const JobRecord& record,
                                      std::optional<int64_t> before) {
  Database& database = transaction.database;
  const auto after = KeptBytes(record.job);
  if (before == after) return absl::OkStatus();
  ASSIGN_OR_RETURN(const JobName name, ParseJobName(record.job.name()));
  if (before) RETURN_IF_ERROR(CountKept(database, name.tenant, -1, *before));
  if (after) RETURN_IF_ERROR(CountKept(database, name.tenant, 1, *after));
  if (before || !after) return absl::OkStatus();
  // Two for one: where less is to be kept than there is, that comes about.
  std::vector<int64_t> except = damaged_.All();
  except.push_back(record.key);
  for (int i = 0; i < 2; ++i) {
    ASSIGN_OR_RETURN(const auto beyond,
                     FirstBeyond(database, name.tenant, options_.retention, except));
    if (!beyond) break;
    RETURN_IF_ERROR(ForgetKey(transaction, *beyond));
  }
  return absl::OkStatus();
}

absl::Status SqliteJobStore::ForgetKey(Transaction& transaction, int64_t key) {
  const auto stored = LoadRecord(transaction.database, key);
  auto forgotten = stored.status();
  if (stored.ok() && *stored) forgotten = Forget(transaction, (*stored)->record);
  damaged_.NoteIfDamaged(transaction.database, key, forgotten);
  return forgotten;
}

absl::Status SqliteJobStore::Forget(Transaction& transaction, const JobRecord& record) {
  ASSIGN_OR_RETURN(const JobName name, ParseJobName(record.job.name()));
  RETURN_IF_ERROR(CountKept(transaction.database, name.tenant, -1,
                            static_cast<int64_t>(record.job.ByteSizeLong())));
  RETURN_IF_ERROR(DeleteRecord(transaction.database, record.key));
  const v1::JobState state = record.job.state();
  transaction.changes.push_back({.name = record.job.name(),
                                 .method = MethodOf(record.job),
                                 .key = record.key,
                                 .last_seq = record.last_seq,
                                 .deleted = true,
                                 .from = state,
                                 .to = state});  // whoever looks at it finds nothing
  return absl::OkStatus();
}

absl::Status SqliteJobStore::ChangeRecord(Transaction& transaction, int64_t key, Change change,
                                          Kind kind) {
  Database& database = transaction.database;
  auto loaded = LoadRecord(database, key);
  damaged_.NoteIfDamaged(database, key, loaded.status());
  ASSIGN_OR_RETURN(auto stored, std::move(loaded));
  if (!stored) return LeaseLost();  // only a token can name a job that is not there
  JobRecord& record = stored->record;
  const v1::JobState before = record.job.state();
  std::string checkpoint = record.checkpoint ? record.checkpoint->blob() : "";
  const absl::Time lease_expire = record.lease_expire;
  const auto kept_before = KeptBytes(record.job);
  const bool report = kind == Kind::kReport && record.heard;
  const int failures = record.failures;
  const Moment now = clock_.Now();
  RETURN_IF_ERROR(change(record, now));
  const v1::JobState after = record.job.state();
  // A lost lease of which nothing was heard counts as no failure, and costs nothing.
  const bool unheard =
      kind == Kind::kLeaseLost && after == v1::JOB_STATE_PENDING && record.failures == failures;
  if (!unheard && IsLeased(before) && (!IsLeased(after) || record.lease_expire != lease_expire)) {
    RETURN_IF_ERROR(ChargeSince(database, record.job.name(), lease_expire, now));
  }
  const auto saved = report ? SaveReport(database, transaction.commit, *stored)
                            : SaveRecord(database, transaction.commit, *stored);
  damaged_.NoteIfDamaged(database, key, saved);
  RETURN_IF_ERROR(saved);
  RETURN_IF_ERROR(NoteKept(transaction, record, kept_before));
  if (!IsTerminal(before) && IsTerminal(after)) {
    ASSIGN_OR_RETURN(const JobName name, ParseJobName(record.job.name()));
    RETURN_IF_ERROR(CountEndedJob(database, name.tenant, now.wall));
  }
  if (after == v1::JOB_STATE_FAILED || after == v1::JOB_STATE_CANCELLED) {
    RETURN_IF_ERROR(database.Prepare(kDropModel).Bind(key).Run());
  }
  if (after == v1::JOB_STATE_SUCCEEDED && before != after && !record.job.output_model().empty()) {
    const std::string model = ModelMadeBy(record.job).SerializeAsString();
    RETURN_IF_ERROR(database.Prepare(kSetModel).BindBlob(model).Bind(key).Run());
  }
  if (after == v1::JOB_STATE_SUCCEEDED && before != after) {
    RETURN_IF_ERROR(NoteDuration(database, MethodOf(record.job), record.run_time));
    RETURN_IF_ERROR(MeasureJob(database, record, now.wall));
  }
  if (!checkpoint.empty() && (!record.checkpoint || record.checkpoint->blob() != checkpoint)) {
    RETURN_IF_ERROR(NoteReplaced(database, key, checkpoint, now.steady));
  }
  if (record.new_events.empty()) return absl::OkStatus();
  JobChange& told = transaction.changes.emplace_back();
  told = {.name = record.job.name(),
          .method = MethodOf(record.job),
          .key = record.key,
          .after_seq = record.new_events.front().seq() - 1,
          .last_seq = record.last_seq,
          .from = before,
          .to = after};
  told.lease_lost = kind == Kind::kLeaseLost;
  const bool needed = after != v1::JOB_STATE_SUCCEEDED && record.checkpoint;
  if (!needed || record.checkpoint->blob() != checkpoint) {
    told.superseded_checkpoint = std::move(checkpoint);
  }
  told.webhook = record.job.has_webhook();
  ASSIGN_OR_RETURN(told.webhook_calls_dropped, InsertWebhookCalls(database, record, now.steady));
  if (IsTerminal(after) && before != after) told.run_time = record.run_time;
  if (before == v1::JOB_STATE_PENDING && after == v1::JOB_STATE_RUNNING) {
    told.queue_wait = now.steady - record.not_before;
  }
  return absl::OkStatus();
}

absl::StatusOr<int> SqliteJobStore::TimeOutJobs() {
  if (Planted("deadline-missed")) return 0;
  {
    ASSIGN_OR_RETURN(auto database, readers_.Borrow());
    ASSIGN_OR_RETURN(auto keys, OverdueJobs(*database, clock_.Now().steady));
    damaged_.RemoveFrom(keys);
    if (keys.empty()) return 0;
  }
  int timed_out = 0;
  RETURN_IF_ERROR(WriteAround([&](Transaction& transaction) -> absl::Status {
    ASSIGN_OR_RETURN(auto keys, OverdueJobs(transaction.database, clock_.Now().steady));
    damaged_.RemoveFrom(keys);
    for (int64_t key : keys) {
      RETURN_IF_ERROR(ChangeRecord(transaction, key, [&](JobRecord& record, const Moment& now) {
        TimeOut(record, now);
        return absl::OkStatus();
      }));
    }
    timed_out = static_cast<int>(keys.size());
    return absl::OkStatus();
  }));
  return timed_out;
}

absl::StatusOr<Swept> SqliteJobStore::Sweep() {
  const absl::Time now = clock_.Now().wall;
  const absl::Time jobs_ended = EndOfExpiredJobs(now, options_.retention);
  const absl::Time events_ended = EndOfExpiredEvents(now, options_.retention);
  {
    ASSIGN_OR_RETURN(auto database, readers_.Borrow());
    ASSIGN_OR_RETURN(auto forget, EndedJobs(*database, jobs_ended, 1));
    ASSIGN_OR_RETURN(auto compact, JobsToCompact(*database, events_ended, 1));
    if (forget.empty() && compact.empty()) return Swept();
  }
  Swept swept;
  RETURN_IF_ERROR(WriteAround([&](Transaction& transaction) -> absl::Status {
    Database& database = transaction.database;
    swept = {};
    ASSIGN_OR_RETURN(auto forget, EndedJobs(database, jobs_ended, kSweptAtOnce));
    damaged_.RemoveFrom(forget);
    for (const int64_t key : forget) {
      RETURN_IF_ERROR(ForgetKey(transaction, key));
    }
    ASSIGN_OR_RETURN(auto compact, JobsToCompact(database, events_ended, kSweptAtOnce));
    damaged_.RemoveFrom(compact);
    for (const int64_t key : compact) {
      const auto events = CompactEvents(database, key);
      damaged_.NoteIfDamaged(database, key, events.status());
      RETURN_IF_ERROR(events.status());
      swept.events += *events;
    }
    swept.jobs = static_cast<int>(forget.size());
    swept.more = forget.size() == kSweptAtOnce || compact.size() == kSweptAtOnce;
    return absl::OkStatus();
  }));
  return swept;
}

absl::Status SqliteJobStore::FollowDate() {
  const Moment now = clock_.Now();
  const absl::Duration ahead = now.wall - now.steady;
  if (followed_ && absl::AbsDuration(ahead - *followed_) < kSetClock) return absl::OkStatus();
  RETURN_IF_ERROR(Write([&](Transaction& transaction) {
    return transaction.database.Prepare(kReschedule)
        .Bind(absl::ToInt64Microseconds(ahead))
        .Bind(now.steady)
        .Run();
  }));
  followed_ = ahead;
  return absl::OkStatus();
}

}  // namespace likeness::server

#include "server/jobs/sqlite/sqlite_job_store.h"

#include <algorithm>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "common/ids.h"
#include "common/rpc_error.h"
#include "common/status_macros.h"
#include "server/jobs/job_state.h"
#include "server/jobs/proto_time.h"
#include "server/jobs/sqlite/blob_names.h"
#include "server/jobs/sqlite/counts.h"
#include "server/jobs/sqlite/opening.h"
#include "server/jobs/sqlite/queries.h"
#include "server/jobs/sqlite/queue.h"
#include "server/jobs/sqlite/quotas.h"
#include "server/jobs/sqlite/schema.h"
#include "server/jobs/sqlite/webhook_table.h"
#include "server/jobs/transitions.h"

namespace likeness::server {
namespace {

constexpr char kInsertRequest[] =
    "INSERT INTO requests (tenant, request_id, fingerprint, job) VALUES (?, ?, ?, ?)";
constexpr char kInsertModel[] = "INSERT INTO models (tenant, id, job) VALUES (?, ?, ?)";
constexpr char kSetModel[] = "UPDATE models SET model = ? WHERE job = ?";
constexpr char kDropModel[] = "DELETE FROM models WHERE job = ?";
constexpr char kDeleteModel[] = "DELETE FROM models WHERE tenant = ? AND id = ?";
constexpr char kLastWritten[] =
    "SELECT MAX(IFNULL((SELECT MAX(lease_expire) FROM jobs WHERE state IN (2, 3)), 0) - ?,"
    " IFNULL((SELECT create_time FROM jobs ORDER BY key DESC LIMIT 1), 0))";
constexpr char kExtendLeases[] =
    "UPDATE jobs SET lease_expire = MAX(lease_expire, ?), version = version + 1"
    " WHERE state IN (2, 3)";
constexpr char kOfferModel[] =
    "INSERT INTO base_models (name, model) VALUES (?, ?)"
    " ON CONFLICT (name) DO UPDATE SET model = excluded.model";
constexpr char kCheckWritable[] =
    "INSERT OR REPLACE INTO meta (name, value) VALUES ('last_check', ?)";
constexpr char kCheckWhole[] = "PRAGMA quick_check(1)";
constexpr char kAuditLines[] = "SELECT key, line FROM audit ORDER BY key LIMIT ?";
constexpr char kDropAuditLines[] = "DELETE FROM audit WHERE key <= ?";
constexpr char kCountAuditLines[] = "SELECT COUNT(*) FROM audit";
constexpr char kSigningKey[] = "SELECT value FROM meta WHERE name = 'signing_key'";

// A base model that did not change is written again only this often, to keep last_offered_time
// about right.
constexpr absl::Duration kOfferInterval = absl::Minutes(1);

constexpr int kSweptAtOnce = 50;  // jobs: others want to write too

absl::Status RequestIdReused() {
  return RpcError(absl::StatusCode::kAlreadyExists, "REQUEST_ID_REUSED",
                  "request_id was used for another request; use a new one");
}

// "{key}.{secret}"
std::string NewLeaseToken(int64_t key) { return absl::StrCat(key, ".", RandomSecret()); }

absl::StatusOr<int64_t> KeyOfToken(absl::string_view token) {
  int64_t key = 0;
  if (!absl::SimpleAtoi(token.substr(0, token.find('.')), &key)) return LeaseLost();
  return key;
}

absl::Status CheckJobFree(Database& database, const JobName& name) {
  if (!FindJob(database, name).ok()) return absl::OkStatus();
  return RpcError(absl::StatusCode::kAlreadyExists, "JOB_EXISTS",
                  absl::StrCat("there is a job ", name.ToString(), " already"));
}

absl::Status CheckModelFree(Database& database, const ModelName& model) {
  const auto existing = ReadModel(database, model).status();
  if (absl::IsNotFound(existing)) return absl::OkStatus();
  if (!existing.ok() && !absl::IsFailedPrecondition(existing)) return existing;
  return RpcError(
      absl::StatusCode::kAlreadyExists, "MODEL_EXISTS",
      absl::StrCat("there is a model ", model.ToString(), " already, or a job that makes it"));
}

// The name of the model that the job makes is its own from now on.
absl::Status ClaimModel(Database& database, const JobRecord& record) {
  if (record.job.output_model().empty()) return absl::OkStatus();
  ASSIGN_OR_RETURN(const ModelName model, ParseModelName(record.job.output_model()));
  RETURN_IF_ERROR(CheckModelFree(database, model));
  return database.Prepare(kInsertModel).Bind(model.tenant).Bind(model.id).Bind(record.key).Run();
}

}  // namespace

absl::StatusOr<std::unique_ptr<SqliteJobStore>> SqliteJobStore::Open(
    const SqliteJobStoreOptions& options, const Clock& clock) {
  ASSIGN_OR_RETURN(auto database, OpenForWriting(options.path, options.was_there));
  RETURN_IF_ERROR(PrepareSchema(*database));
  std::string signing_key;
  {
    Query query = database->Prepare(kSigningKey);
    RETURN_IF_ERROR(query.Run());
    signing_key = query.String(0);
  }
  ASSIGN_OR_RETURN(const int64_t last_commit, ReadLastCommit(*database));
  return std::unique_ptr<SqliteJobStore>(
      new SqliteJobStore(options, clock, std::move(database), std::move(signing_key), last_commit));
}

SqliteJobStore::SqliteJobStore(const SqliteJobStoreOptions& options, const Clock& clock,
                               std::unique_ptr<Database> database, std::string signing_key,
                               int64_t last_commit)
    : options_(options),
      clock_(clock),
      signing_key_(std::move(signing_key)),
      readers_(options.path),
      forecasts_(readers_, clock, options.queue),
      writer_(std::move(database), last_commit, options.listener) {}

absl::Status SqliteJobStore::Write(absl::FunctionRef<absl::Status(Transaction&)> work) {
  auto status = writer_.Run(work);
  forecasts_.Outdate();
  return status;
}

absl::Status SqliteJobStore::WriteAround(absl::FunctionRef<absl::Status(Transaction&)> work) {
  for (;;) {
    const size_t known = damaged_.All().size();
    auto status = Write(work);
    if (!absl::IsDataLoss(status) || damaged_.All().size() == known) return status;
  }
}

v1::Job SqliteJobStore::Shown(v1::Job job) const {
  AddExpiry(job, options_.retention);
  return job;
}

std::function<absl::Status(const QueuePlace&, v1::Job&)> SqliteJobStore::PlaceTeller() {
  return [this, now = clock_.Now(), forecast = std::shared_ptr<const Forecast>()](
             const QueuePlace& place, v1::Job& job) mutable -> absl::Status {
    if (place.not_before > now) {
      *job.mutable_estimated_start_time() = ToProto(place.not_before);
      return absl::OkStatus();
    }
    if (!forecast) {
      ASSIGN_OR_RETURN(forecast, forecasts_.Get());
    }
    job.set_queue_position(forecast->PositionOf(place));
    if (const auto start = forecast->StartOf(job.queue_position())) {
      *job.mutable_estimated_start_time() = ToProto(*start);
    }
    return absl::OkStatus();
  };
}

absl::StatusOr<v1::Job> SqliteJobStore::Create(const NewJob& job) {
  ASSIGN_OR_RETURN(const JobName name, ParseJobName(job.job.name()));
  v1::Job created;
  std::optional<QueuePlace> place;  // nothing for one that was there already
  RETURN_IF_ERROR(Write([&](Transaction& transaction) -> absl::Status {
    Database& database = transaction.database;
    place.reset();
    if (!job.request_id.empty()) {
      ASSIGN_OR_RETURN(auto request, ReadRequest(database, name.tenant, job.request_id));
      if (request) {
        if (request->fingerprint != job.fingerprint) return RequestIdReused();
        ASSIGN_OR_RETURN(created, ReadJob(database, request->job));
        created = Shown(std::move(created));
        return absl::OkStatus();
      }
    }
    RETURN_IF_ERROR(CheckJobFree(database, name));
    const absl::Time now = clock_.Now();
    RETURN_IF_ERROR(CheckMayWait(database, name.tenant, options_.quotas(name.tenant), now));
    JobRecord record;
    record.job = job.job;
    Begin(record, now);
    RETURN_IF_ERROR(InsertRecord(database, name, transaction.commit, record));
    if (!job.request_id.empty()) {
      Query query = database.Prepare(kInsertRequest);
      query.Bind(name.tenant).Bind(job.request_id).Bind(job.fingerprint).Bind(record.key);
      RETURN_IF_ERROR(query.Run());
    }
    RETURN_IF_ERROR(ClaimModel(database, record));
    transaction.changes.push_back(
        {.name = record.job.name(), .method = MethodOf(record.job), .to = record.job.state()});
    place = {.tenant = name.tenant,
             .priority = PriorityOf(record.job),
             // As it is kept, or the job would stand behind itself.
             .queue_time = absl::FromUnixMicros(absl::ToUnixMicros(record.queue_time)),
             .not_before = record.not_before,
             .key = record.key};
    transaction.changes.back().webhook = record.job.has_webhook();
    created = std::move(record.job);
    return absl::OkStatus();
  }));
  if (place) (void)PlaceTeller()(*place, created);  // accepted it is, wherever it stands
  return created;
}

absl::Status SqliteJobStore::CheckNames(const v1::Job& job) {
  ASSIGN_OR_RETURN(auto database, readers_.Borrow());
  if (!job.name().empty()) {
    ASSIGN_OR_RETURN(const JobName name, ParseJobName(job.name()));
    RETURN_IF_ERROR(CheckJobFree(*database, name));
  }
  if (job.output_model().empty()) return absl::OkStatus();
  ASSIGN_OR_RETURN(const ModelName model, ParseModelName(job.output_model()));
  return CheckModelFree(*database, model);
}

absl::StatusOr<std::optional<v1::Job>> SqliteJobStore::FindRequest(const std::string& tenant,
                                                                   const std::string& request_id,
                                                                   const std::string& fingerprint) {
  ASSIGN_OR_RETURN(auto database, readers_.Borrow());
  ASSIGN_OR_RETURN(auto request, ReadRequest(*database, tenant, request_id));
  if (!request) return std::nullopt;
  if (request->fingerprint != fingerprint) return RequestIdReused();
  ASSIGN_OR_RETURN(v1::Job first, ReadJob(*database, request->job));
  return Shown(std::move(first));
}

absl::StatusOr<v1::Job> SqliteJobStore::Get(const JobName& name) {
  ASSIGN_OR_RETURN(auto snapshot, Snapshot(name));
  return std::move(snapshot.job);
}

absl::StatusOr<JobSnapshot> SqliteJobStore::Snapshot(const JobName& name) {
  ASSIGN_OR_RETURN(auto database, readers_.Borrow());
  ASSIGN_OR_RETURN(auto snapshot, ReadSnapshot(*database, name, PlaceTeller()));
  snapshot.job = Shown(std::move(snapshot.job));
  return snapshot;
}

absl::StatusOr<JobPage> SqliteJobStore::List(const std::string& tenant, const JobQuery& query) {
  ASSIGN_OR_RETURN(auto database, readers_.Borrow());
  auto read = ReadPage(*database, tenant, query, damaged_.All(), PlaceTeller());
  if (absl::IsDataLoss(read.status())) {
    ASSIGN_OR_RETURN(auto searching, readers_.BorrowWithoutTransaction());
    if (damaged_.Search(*searching, tenant)) {
      read = ReadPage(*searching, tenant, query, damaged_.All(), PlaceTeller());
    }
  }
  ASSIGN_OR_RETURN(JobPage page, std::move(read));
  for (v1::Job& job : page.jobs) job = Shown(std::move(job));
  return page;
}

absl::StatusOr<v1::Job> SqliteJobStore::Cancel(const JobName& name, const std::string& etag) {
  v1::Job cancelled;
  RETURN_IF_ERROR(Write([&](Transaction& transaction) -> absl::Status {
    ASSIGN_OR_RETURN(int64_t key, FindJob(transaction.database, name));
    return ChangeRecord(transaction, key, [&](JobRecord& record) {
      auto status = likeness::server::Cancel(record, etag, clock_.Now());
      cancelled = Shown(record.job);
      return status;
    });
  }));
  return cancelled;
}

absl::StatusOr<v1::Job> SqliteJobStore::Retry(const JobName& name, const std::string& etag,
                                              const IsStored& stored) {
  v1::Job retried;
  RETURN_IF_ERROR(Write([&](Transaction& transaction) -> absl::Status {
    ASSIGN_OR_RETURN(int64_t key, FindJob(transaction.database, name));
    return ChangeRecord(transaction, key, [&](JobRecord& record) -> absl::Status {
      const bool ended = IsTerminal(record.job.state());
      const bool kept = record.checkpoint && stored(record.checkpoint->blob());
      const absl::Time now = clock_.Now();
      RETURN_IF_ERROR(likeness::server::Retry(record, etag, kept, now));
      if (ended) {
        RETURN_IF_ERROR(
            CheckMayWait(transaction.database, name.tenant, options_.quotas(name.tenant), now));
      }
      if (ended) RETURN_IF_ERROR(ClaimModel(transaction.database, record));
      retried = Shown(record.job);
      return absl::OkStatus();
    });
  }));
  return retried;
}

absl::Status SqliteJobStore::Delete(const JobName& name, const std::string& etag) {
  return Write([&](Transaction& transaction) -> absl::Status {
    Database& database = transaction.database;
    ASSIGN_OR_RETURN(int64_t key, FindJob(database, name));
    ASSIGN_OR_RETURN(auto stored, LoadRecord(database, key));
    if (!stored) return JobNotFound(name);
    RETURN_IF_ERROR(CheckDeletable(stored->record, etag));
    return Forget(transaction, stored->record);
  });
}

absl::Status SqliteJobStore::Forget(Transaction& transaction, const JobRecord& record) {
  RETURN_IF_ERROR(DeleteRecord(transaction.database, record.key));
  const v1::JobState state = record.job.state();
  transaction.changes.push_back({.name = record.job.name(),
                                 .method = MethodOf(record.job),
                                 .from = state,
                                 .to = state});  // whoever looks at it finds nothing
  return absl::OkStatus();
}

absl::StatusOr<std::vector<v1::JobEvent>> SqliteJobStore::EventsAfter(const JobName& name,
                                                                      int64_t key, int64_t after,
                                                                      int limit) {
  ASSIGN_OR_RETURN(auto database, readers_.Borrow());
  ASSIGN_OR_RETURN(auto events, ReadEvents(*database, name, key, after, limit));
  for (v1::JobEvent& event : events) {
    if (event.state_change().has_job()) {
      AddExpiry(*event.mutable_state_change()->mutable_job(), options_.retention);
    }
  }
  return events;
}

absl::StatusOr<v1::Model> SqliteJobStore::GetModel(const ModelName& personalized) {
  ASSIGN_OR_RETURN(auto database, readers_.Borrow());
  return ReadModel(*database, personalized);
}

absl::StatusOr<ModelPage> SqliteJobStore::ListModels(const std::string& tenant,
                                                     const std::string& after, int limit) {
  ASSIGN_OR_RETURN(auto database, readers_.Borrow());
  return ReadModels(*database, tenant, after, limit);
}

absl::Status SqliteJobStore::DeleteModel(const ModelName& personalized) {
  return writer_.Run([&](Transaction& transaction) -> absl::Status {
    Database& database = transaction.database;
    RETURN_IF_ERROR(ReadModel(database, personalized).status());
    ASSIGN_OR_RETURN(bool in_use, ModelInUse(database, personalized));
    if (in_use) {
      return RpcError(absl::StatusCode::kFailedPrecondition, "MODEL_IN_USE",
                      absl::StrCat("a job that has not ended draws with ", personalized.ToString(),
                                   "; wait for it or cancel it"));
    }
    return database.Prepare(kDeleteModel).Bind(personalized.tenant).Bind(personalized.id).Run();
  });
}

absl::Status SqliteJobStore::ChangeRecord(Transaction& transaction, int64_t key, Change change,
                                          bool lease_lost) {
  Database& database = transaction.database;
  auto loaded = LoadRecord(database, key);
  damaged_.NoteIfDamaged(database, key, loaded.status());
  ASSIGN_OR_RETURN(auto stored, std::move(loaded));
  if (!stored) return LeaseLost();  // only a token can name a job that is not there
  JobRecord& record = stored->record;
  const v1::JobState before = record.job.state();
  std::string checkpoint = record.checkpoint ? record.checkpoint->blob() : "";
  const absl::Time lease_expire = record.lease_expire;
  RETURN_IF_ERROR(change(record));
  const v1::JobState after = record.job.state();
  if (IsLeased(before) && (!IsLeased(after) || record.lease_expire != lease_expire)) {
    RETURN_IF_ERROR(ChargeSince(database, record.job.name(), lease_expire));
  }
  RETURN_IF_ERROR(SaveRecord(database, transaction.commit, *stored));
  if (after == v1::JOB_STATE_FAILED || after == v1::JOB_STATE_CANCELLED) {
    RETURN_IF_ERROR(database.Prepare(kDropModel).Bind(key).Run());
  }
  if (after == v1::JOB_STATE_SUCCEEDED && before != after && !record.job.output_model().empty()) {
    const std::string model = ModelMadeBy(record.job).SerializeAsString();
    RETURN_IF_ERROR(database.Prepare(kSetModel).BindBlob(model).Bind(key).Run());
  }
  if (after == v1::JOB_STATE_SUCCEEDED && before != after) {
    RETURN_IF_ERROR(NoteDuration(database, MethodOf(record.job), record.run_time));
  }
  if (record.new_events.empty()) return absl::OkStatus();
  JobChange& told = transaction.changes.emplace_back();
  told = {.name = record.job.name(), .method = MethodOf(record.job), .from = before, .to = after};
  told.lease_lost = lease_lost;
  const bool needed = after != v1::JOB_STATE_SUCCEEDED && record.checkpoint;
  if (!needed || record.checkpoint->blob() != checkpoint) {
    told.superseded_checkpoint = std::move(checkpoint);
  }
  told.webhook = record.job.has_webhook();
  if (IsTerminal(after) && before != after) told.run_time = record.run_time;
  if (before == v1::JOB_STATE_PENDING && after == v1::JOB_STATE_RUNNING) {
    told.queue_wait =
        clock_.Now() - std::max(FromProto(record.job.create_time()), record.not_before);
  }
  return absl::OkStatus();
}

// A lease expires one period after it was granted or renewed: since then its time is not yet
// charged.
absl::Status SqliteJobStore::ChargeSince(Database& database, const std::string& job,
                                         absl::Time lease_expire) {
  ASSIGN_OR_RETURN(const JobName name, ParseJobName(job));
  const absl::Time now = clock_.Now();
  const absl::Duration held =
      std::min(now, lease_expire) - (lease_expire - options_.lease.duration);
  return ChargeWorkerTime(database, name.tenant, std::max(held, absl::ZeroDuration()), now);
}

absl::Status SqliteJobStore::ChangeLeased(const std::string& lease_token, Change change) {
  ASSIGN_OR_RETURN(int64_t key, KeyOfToken(lease_token));
  return Write([&](Transaction& transaction) { return ChangeRecord(transaction, key, change); });
}

absl::Status SqliteJobStore::LeaseJob(Transaction& transaction, int64_t key,
                                      const std::string& worker, std::optional<v1::Lease>* lease) {
  std::string model;
  RETURN_IF_ERROR(ChangeRecord(transaction, key, [&](JobRecord& record) {
    Lease(record, NewLeaseToken(key), worker, options_.lease, clock_.Now());
    v1::Lease& granted = lease->emplace();
    *granted.mutable_job() = record.job;
    granted.mutable_job()->clear_webhook();
    granted.set_lease_token(record.lease_token);
    *granted.mutable_expire_time() = ToProto(record.lease_expire);
    *granted.mutable_duration() = ToProto(options_.lease.duration);
    if (record.checkpoint) *granted.mutable_checkpoint() = *record.checkpoint;
    model = ModelOf(record.job);
    return absl::OkStatus();
  }));
  ASSIGN_OR_RETURN(const ModelName name, ParseModelName(model));
  if (name.is_base()) return absl::OkStatus();
  // A personalized model: the worker fetches its files. One that was deleted meanwhile must not
  // keep the worker from its lease: it will say itself that there is nothing to draw with.
  auto personalized = ReadModel(transaction.database, name);
  if (absl::IsNotFound(personalized.status())) return absl::OkStatus();
  RETURN_IF_ERROR(personalized.status());
  *(*lease)->mutable_model_files() = std::move(*personalized->mutable_files());
  return absl::OkStatus();
}

absl::StatusOr<std::optional<v1::Lease>> SqliteJobStore::Acquire(
    const v1::AcquireLeaseRequest& offer) {
  {
    // A look without writing: most polls find nothing.
    ASSIGN_OR_RETURN(auto database, readers_.Borrow());
    ASSIGN_OR_RETURN(bool any,
                     AnyPending(*database, offer, clock_.Now(), options_.quotas, damaged_));
    if (!any) return std::nullopt;
  }
  std::optional<v1::Lease> lease;
  RETURN_IF_ERROR(WriteAround([&](Transaction& transaction) -> absl::Status {
    Database& database = transaction.database;
    lease.reset();
    ASSIGN_OR_RETURN(auto choice, ChoosePending(database, offer, clock_.Now(), options_.queue,
                                                options_.quotas, damaged_));
    if (!choice) return absl::OkStatus();
    const int64_t key = choice->job.key;
    RETURN_IF_ERROR(ChargeFor(database, *std::move(choice), options_.queue));
    return LeaseJob(transaction, key, offer.worker(), &lease);
  }));
  return lease;
}

absl::StatusOr<LeasedJob> SqliteJobStore::FindLease(const std::string& lease_token) {
  ASSIGN_OR_RETURN(const int64_t key, KeyOfToken(lease_token));
  ASSIGN_OR_RETURN(auto database, readers_.Borrow());
  ASSIGN_OR_RETURN(auto leased, ReadLease(*database, key, lease_token, clock_.Now()));
  if (!leased) return LeaseLost();
  return *std::move(leased);
}

absl::StatusOr<LeaseTerms> SqliteJobStore::Renew(const v1::HeartbeatRequest& news) {
  LeaseTerms terms;
  RETURN_IF_ERROR(ChangeLeased(news.lease_token(), [&](JobRecord& record) {
    auto status = likeness::server::Renew(record, news, options_.lease, clock_.Now());
    terms = {record.lease_expire, record.job.state() == v1::JOB_STATE_CANCELLING};
    return status;
  }));
  return terms;
}

absl::Status SqliteJobStore::Complete(const v1::CompleteLeaseRequest& outcome) {
  absl::Status reply;
  RETURN_IF_ERROR(ChangeLeased(outcome.lease_token(), [&](JobRecord& record) {
    auto completion = likeness::server::Complete(record, outcome, clock_.Now());
    reply = completion.reply;
    return completion.changed ? absl::OkStatus() : completion.reply;
  }));
  return reply;
}

absl::Status SqliteJobStore::Fail(const v1::FailLeaseRequest& failure) {
  return ChangeLeased(failure.lease_token(), [&](JobRecord& record) {
    return likeness::server::Fail(record, failure, options_.retry, clock_.Now());
  });
}

absl::Status SqliteJobStore::Release(const v1::ReleaseLeaseRequest& release) {
  return ChangeLeased(release.lease_token(), [&](JobRecord& record) {
    return likeness::server::Release(record, release, clock_.Now());
  });
}

absl::StatusOr<int> SqliteJobStore::ExpireLeases() {
  {
    ASSIGN_OR_RETURN(auto database, readers_.Borrow());
    ASSIGN_OR_RETURN(auto keys, ExpiredLeases(*database, clock_.Now()));
    damaged_.RemoveFrom(keys);
    if (keys.empty()) return 0;
  }
  int expired = 0;
  RETURN_IF_ERROR(WriteAround([&](Transaction& transaction) -> absl::Status {
    const absl::Time now = clock_.Now();
    ASSIGN_OR_RETURN(auto keys, ExpiredLeases(transaction.database, now));
    damaged_.RemoveFrom(keys);
    for (int64_t key : keys) {
      RETURN_IF_ERROR(ChangeRecord(
          transaction, key,
          [&](JobRecord& record) {
            Expire(record, options_.retry, now);
            return absl::OkStatus();
          },
          /*lease_lost=*/true));
    }
    expired = static_cast<int>(keys.size());
    return absl::OkStatus();
  }));
  return expired;
}

absl::StatusOr<absl::Time> SqliteJobStore::LastWritten() {
  ASSIGN_OR_RETURN(auto database, readers_.Borrow());
  Query query = database->Prepare(kLastWritten);
  RETURN_IF_ERROR(query.Bind(absl::ToInt64Microseconds(options_.lease.duration)).Run());
  return query.Time(0);
}

absl::StatusOr<int> SqliteJobStore::TimeOutJobs() {
  {
    ASSIGN_OR_RETURN(auto database, readers_.Borrow());
    ASSIGN_OR_RETURN(auto keys, OverdueJobs(*database, clock_.Now()));
    damaged_.RemoveFrom(keys);
    if (keys.empty()) return 0;
  }
  int timed_out = 0;
  RETURN_IF_ERROR(WriteAround([&](Transaction& transaction) -> absl::Status {
    const absl::Time now = clock_.Now();
    ASSIGN_OR_RETURN(auto keys, OverdueJobs(transaction.database, now));
    damaged_.RemoveFrom(keys);
    for (int64_t key : keys) {
      RETURN_IF_ERROR(ChangeRecord(transaction, key, [&](JobRecord& record) {
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
  const absl::Time now = clock_.Now();
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
      const auto loaded = LoadRecord(database, key);
      auto forgotten = loaded.status();
      if (loaded.ok() && *loaded) forgotten = Forget(transaction, (*loaded)->record);
      damaged_.NoteIfDamaged(database, key, forgotten);
      RETURN_IF_ERROR(forgotten);
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

absl::Status SqliteJobStore::ExtendLeases() {
  return writer_.Run([&](Transaction& transaction) {
    return transaction.database.Prepare(kExtendLeases)
        .Bind(clock_.Now() + options_.lease.duration)
        .Run();
  });
}

absl::Status SqliteJobStore::OfferBaseModels(const std::vector<v1::BaseModel>& models) {
  const absl::Time now = clock_.Now();
  ASSIGN_OR_RETURN(auto known, BaseModels());
  std::vector<v1::BaseModel> news;
  for (v1::BaseModel model : models) {
    *model.mutable_last_offered_time() = ToProto(now);
    const bool fresh = std::any_of(known.begin(), known.end(), [&](const v1::BaseModel& old) {
      return old.name() == model.name() && old.digest() == model.digest() &&
             old.image_size() == model.image_size() &&
             old.default_token() == model.default_token() &&
             now - FromProto(old.last_offered_time()) < kOfferInterval;
    });
    if (!fresh) news.push_back(std::move(model));
  }
  if (news.empty()) return absl::OkStatus();
  RETURN_IF_ERROR(writer_.Run([&](Transaction& transaction) -> absl::Status {
    for (const v1::BaseModel& model : news) {
      RETURN_IF_ERROR(transaction.database.Prepare(kOfferModel)
                          .Bind(model.name())
                          .BindBlob(model.SerializeAsString())
                          .Run());
    }
    return absl::OkStatus();
  }));
  std::lock_guard lock(base_models_mutex_);
  base_models_.reset();
  return absl::OkStatus();
}

absl::StatusOr<std::vector<v1::BaseModel>> SqliteJobStore::BaseModels() {
  std::lock_guard lock(base_models_mutex_);
  if (!base_models_) {
    ASSIGN_OR_RETURN(auto database, readers_.Borrow());
    ASSIGN_OR_RETURN(base_models_, ReadBaseModels(*database));
  }
  return *base_models_;
}

absl::StatusOr<WebhookPage> SqliteJobStore::DueWebhookCalls(const WebhookQuery& query) {
  ASSIGN_OR_RETURN(auto database, readers_.Borrow());
  return ReadDueWebhookCalls(*database, query);
}

absl::Status SqliteJobStore::RecordWebhookCalls(const std::vector<WebhookVerdict>& verdicts) {
  return writer_.Run([&](Transaction& transaction) -> absl::Status {
    for (const WebhookVerdict& verdict : verdicts) {
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
  return server::CountTenantsAtQuota(*database, options_.quotas, clock_.Now());
}

absl::Status SqliteJobStore::VisitBlobs(absl::FunctionRef<void(const NamedBlob&)> visit) {
  ASSIGN_OR_RETURN(auto database, readers_.BorrowWithoutTransaction());
  return VisitBlobNames(*database, visit);
}

absl::Status SqliteJobStore::CheckWritable() {
  return writer_.Run([&](Transaction& transaction) {
    return transaction.database.Prepare(kCheckWritable).Bind(clock_.Now()).Run();
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

absl::StatusOr<int64_t> SqliteJobStore::CountAuditLines() {
  ASSIGN_OR_RETURN(auto database, readers_.Borrow());
  Query query = database->Prepare(kCountAuditLines);
  RETURN_IF_ERROR(query.Run());
  return query.Integer(0);
}

}  // namespace likeness::server

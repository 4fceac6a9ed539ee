#include "server/jobs/sqlite/sqlite_job_store.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "common/job_spec.h"
#include "common/rpc_error.h"
#include "common/status_macros.h"
#include "server/base/planted.h"
#include "server/jobs/job_state.h"
#include "server/jobs/model_update.h"
#include "server/jobs/proto_time.h"
#include "server/jobs/sqlite/erasure_table.h"
#include "server/jobs/sqlite/kept_jobs.h"
#include "server/jobs/sqlite/opening.h"
#include "server/jobs/sqlite/queries.h"
#include "server/jobs/sqlite/queue.h"
#include "server/jobs/sqlite/quotas.h"
#include "server/jobs/sqlite/rate_table.h"
#include "server/jobs/sqlite/schema.h"
#include "server/jobs/sqlite/webhook_table.h"
#include "server/jobs/transitions.h"

namespace likeness::server {
namespace {

constexpr char kInsertRequest[] =
    "INSERT INTO requests (tenant, request_id, fingerprint, job) VALUES (?, ?, ?, ?)";
constexpr char kInsertModel[] = "INSERT INTO models (tenant, id, job) VALUES (?, ?, ?)";
constexpr char kSetModel[] = "UPDATE models SET model = ? WHERE job = ?";
constexpr char kUpdateModel[] = "UPDATE models SET model = ? WHERE tenant = ? AND id = ?";
constexpr char kDropModel[] = "DELETE FROM models WHERE job = ?";
constexpr char kDeleteModel[] = "DELETE FROM models WHERE tenant = ? AND id = ?";
// ?1: the date less the queue's clock; ?2: the queue's clock. A job that has failed waits for its
// back-off.
constexpr char kReschedule[] =
    "UPDATE jobs SET"
    " deadline = iif(deadline < 9223372036854775807, deadline + schedule_time - ?1 - not_before,"
    " deadline),"
    " queue_time = schedule_time - ?1, not_before = schedule_time - ?1, version = version + 1"
    " WHERE state = 1 AND schedule_time > 0 AND failures = 0 AND not_before > ?2";
constexpr char kSigningKey[] = "SELECT value FROM meta WHERE name = 'signing_key'";

constexpr char kDropWebhookCalls[] = "DELETE FROM webhook_calls WHERE job = ?";

// The date is followed where it was set by more than this.
constexpr absl::Duration kSetClock = absl::Milliseconds(100);

constexpr int kSweptAtOnce = 50;  // jobs: others want to write too

absl::Status RequestIdReused() {
  return RpcError(absl::StatusCode::kAlreadyExists, "REQUEST_ID_REUSED",
                  "request_id was used for another request; use a new one");
}

absl::Status CheckJobFree(Database& database, const JobName& name) {
  if (!FindJob(database, name).ok()) return absl::OkStatus();
  return RpcError(absl::StatusCode::kAlreadyExists, "JOB_EXISTS",
                  absl::StrCat("there is a job ", name.ToString(), " already"),
                  {{"resource", name.ToString()}});
}

absl::Status CheckModelFree(Database& database, const ModelName& model) {
  const auto existing = ReadModel(database, model).status();
  if (absl::IsNotFound(existing)) return absl::OkStatus();
  if (!existing.ok() && !absl::IsFailedPrecondition(existing)) return existing;
  return RpcError(
      absl::StatusCode::kAlreadyExists, "MODEL_EXISTS",
      absl::StrCat("there is a model ", model.ToString(), " already, or a job that makes it"),
      {{"resource", model.ToString()}});
}

// Those of a job that ended before it ever ran are not kept as long as it is.
absl::Status CheckPhotosStored(const v1::Job& job, const JobStore::IsStored& stored) {
  for (const v1::Photo* photo : PhotosOf(job)) {
    if (stored(photo->blob())) continue;
    return RpcError(absl::StatusCode::kFailedPrecondition, "BLOB_NOT_FOUND",
                    absl::StrCat("the job's photo ", photo->blob(),
                                 " is not kept any longer; upload it and create the job again"),
                    {{"resource", photo->blob()}});
  }
  return absl::OkStatus();
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
  ASSIGN_OR_RETURN(const StoreClock store_clock, StoreClock::Open(*database, clock));
  ASSIGN_OR_RETURN(const int64_t last_erased, ReadLastErased(*database));
  std::unique_ptr<SqliteJobStore> store(new SqliteJobStore(
      options, store_clock, std::move(database), std::move(signing_key), last_commit));
  store->last_erased_ = last_erased;
  return store;
}

SqliteJobStore::SqliteJobStore(const SqliteJobStoreOptions& options, const StoreClock& clock,
                               std::unique_ptr<Database> database, std::string signing_key,
                               int64_t last_commit)
    : options_(options),
      clock_(clock),
      signing_key_(std::move(signing_key)),
      readers_(options.path),
      forecasts_(readers_, clock_, options.queue),
      writer_(std::move(database), clock_, last_commit, options.listener),
      base_models_(readers_, writer_, clock_, options.offer_lifetime) {}

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
    if (job.has_schedule_time() && FromProto(job.schedule_time()) > now.wall) {
      *job.mutable_estimated_start_time() = job.schedule_time();
      return absl::OkStatus();
    }
    if (place.not_before > now.steady) {
      *job.mutable_estimated_start_time() = ToProto(now.Dated(place.not_before));
      return absl::OkStatus();
    }
    if (!forecast) {
      ASSIGN_OR_RETURN(forecast, forecasts_.Get());
    }
    job.set_queue_position(forecast->PositionOf(place));
    if (const auto start = forecast->StartOf(job.queue_position())) {
      *job.mutable_estimated_start_time() = ToProto(now.Dated(*start));
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
    const Moment now = clock_.Now();
    RETURN_IF_ERROR(CheckMayWait(database, name.tenant, options_.quotas(name.tenant), now.wall));
    if (job.keep) RETURN_IF_ERROR(CheckPhotosStored(job.job, job.keep));
    JobRecord record;
    record.job = job.job;
    Begin(record, now);
    RETURN_IF_ERROR(InsertRecord(database, name, transaction.commit, record));
    if (!job.request_id.empty() && !Planted("request-forgotten")) {
      Query query = database.Prepare(kInsertRequest);
      query.Bind(name.tenant).Bind(job.request_id).Bind(job.fingerprint).Bind(record.key);
      RETURN_IF_ERROR(query.Run());
    }
    RETURN_IF_ERROR(ClaimModel(database, record));
    transaction.changes.push_back({.name = record.job.name(),
                                   .method = MethodOf(record.job),
                                   .key = record.key,
                                   .last_seq = record.last_seq,
                                   .to = record.job.state()});
    place = {.tenant = name.tenant,
             .priority = PriorityOf(record.job),
             // As it is kept, or the job would stand behind itself.
             .queue_time = absl::FromUnixMicros(absl::ToUnixMicros(record.queue_time)),
             .not_before = record.not_before,
             .key = record.key};
    transaction.changes.back().webhook = record.job.has_webhook();
    ASSIGN_OR_RETURN(transaction.changes.back().webhook_calls_dropped,
                     InsertWebhookCalls(database, record, now.steady));
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
  ASSIGN_OR_RETURN(auto database, readers_.BorrowWithoutTransaction());  // one statement
  ASSIGN_OR_RETURN(auto snapshot, ReadSnapshot(*database, name, PlaceTeller()));
  if (Planted("read-torn")) {
    absl::SleepFor(absl::Milliseconds(5));
    ASSIGN_OR_RETURN(auto later, readers_.Borrow());
    ASSIGN_OR_RETURN(auto second, ReadSnapshot(*later, name, PlaceTeller()));
    snapshot.last_seq = second.last_seq;
  }
  snapshot.job = Shown(std::move(snapshot.job));
  return snapshot;
}

absl::StatusOr<JobPage> SqliteJobStore::List(const std::string& tenant, const JobQuery& query) {
  ASSIGN_OR_RETURN(auto database, readers_.Borrow());
  std::optional<Database::Patience> patience(std::in_place, *database, options_.list_patience);
  auto read = ReadPage(*database, tenant, query, damaged_.All(), PlaceTeller());
  if (absl::IsDataLoss(read.status())) {
    patience.reset();  // the search for damage takes the time that it takes
    ASSIGN_OR_RETURN(auto searching, readers_.BorrowWithoutTransaction());
    if (damaged_.Search(*searching, tenant)) {
      read = ReadPage(*searching, tenant, query, damaged_.All(), PlaceTeller());
    }
  }
  ASSIGN_OR_RETURN(JobPage page, std::move(read));
  for (v1::Job& job : page.jobs) job = Shown(std::move(job));
  return page;
}

absl::StatusOr<v1::Job> SqliteJobStore::Update(const JobName& name, const JobUpdate& update,
                                               const std::string& etag) {
  v1::Job updated;
  RETURN_IF_ERROR(Write([&](Transaction& transaction) -> absl::Status {
    ASSIGN_OR_RETURN(int64_t key, FindJob(transaction.database, name));
    RETURN_IF_ERROR(ChangeRecord(transaction, key, [&](JobRecord& record, const Moment& now) {
      auto status = likeness::server::Update(record, update, etag, now);
      updated = Shown(record.job);
      return status;
    }));
    return SaveUpdate(transaction.database, key, updated);
  }));
  return updated;
}

absl::StatusOr<v1::Job> SqliteJobStore::Cancel(const JobName& name, const std::string& etag) {
  v1::Job cancelled;
  RETURN_IF_ERROR(Write([&](Transaction& transaction) -> absl::Status {
    ASSIGN_OR_RETURN(int64_t key, FindJob(transaction.database, name));
    return ChangeRecord(transaction, key, [&](JobRecord& record, const Moment& now) {
      auto status = likeness::server::Cancel(record, etag, now);
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
    return ChangeRecord(transaction, key,
                        [&](JobRecord& record, const Moment& now) -> absl::Status {
                          const bool ended = IsTerminal(record.job.state());
                          const bool kept = record.checkpoint && stored(record.checkpoint->blob());
                          if (ended) RETURN_IF_ERROR(CheckPhotosStored(record.job, stored));
                          RETURN_IF_ERROR(likeness::server::Retry(record, etag, kept, now));
                          if (ended) {
                            RETURN_IF_ERROR(CheckMayWait(transaction.database, name.tenant,
                                                         options_.quotas(name.tenant), now.wall));
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

absl::Status SqliteJobStore::NoteKept(Transaction& transaction, const JobRecord& record,
                                      std::optional<int64_t> before) {
  Database& database = transaction.database;
  const auto after = KeptBytes(record.job);
  if (before == after) return absl::OkStatus();
  ASSIGN_OR_RETURN(const JobName name, ParseJobName(record.job.name()));
  if (before) RETURN_IF_ERROR(CountKept(database, name.tenant, -1, *before).status());
  if (!after) return absl::OkStatus();
  ASSIGN_OR_RETURN(const Kept kept, CountKept(database, name.tenant, 1, *after));
  if (before || !kept.Exceeds(options_.retention)) return absl::OkStatus();
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
                            static_cast<int64_t>(record.job.ByteSizeLong()))
                      .status());
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

absl::StatusOr<std::vector<v1::JobEvent>> SqliteJobStore::EventsAfter(const JobName& name,
                                                                      int64_t key, int64_t after,
                                                                      int limit) {
  ASSIGN_OR_RETURN(auto database, readers_.Borrow());
  RETURN_IF_ERROR(CheckAllKept(*database, name, key, after));
  return ReadShownEvents(*database, key, after, limit);
}

absl::StatusOr<std::vector<v1::JobEvent>> SqliteJobStore::KeptEvents(const JobName& name,
                                                                     int64_t key, int64_t after,
                                                                     int limit) {
  ASSIGN_OR_RETURN(auto database, readers_.Borrow());
  ASSIGN_OR_RETURN(const int64_t found, FindJob(*database, name));
  if (found != key) return JobNotFound(name);
  return ReadShownEvents(*database, key, after, limit);
}

absl::StatusOr<std::vector<v1::JobEvent>> SqliteJobStore::ReadShownEvents(Database& database,
                                                                          int64_t key,
                                                                          int64_t after,
                                                                          int limit) const {
  ASSIGN_OR_RETURN(auto events, ReadEvents(database, key, after, limit));
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

absl::StatusOr<v1::Model> SqliteJobStore::UpdateModel(const ModelName& personalized,
                                                      const v1::UpdateModelRequest& request) {
  v1::Model model;
  RETURN_IF_ERROR(writer_.Run([&](Transaction& transaction) -> absl::Status {
    Database& database = transaction.database;
    ASSIGN_OR_RETURN(model, ReadModel(database, personalized));
    RETURN_IF_ERROR(likeness::server::UpdateModel(request, model));
    Query update = database.Prepare(kUpdateModel);
    update.BindBlob(model.SerializeAsString()).Bind(personalized.tenant).Bind(personalized.id);
    return update.Run();
  }));
  return model;
}

absl::Status SqliteJobStore::DeleteModel(const ModelName& personalized) {
  return writer_.Run([&](Transaction& transaction) -> absl::Status {
    Database& database = transaction.database;
    RETURN_IF_ERROR(ReadModel(database, personalized).status());
    ASSIGN_OR_RETURN(bool in_use, ModelInUse(database, personalized));
    if (in_use) {
      return RpcError(absl::StatusCode::kFailedPrecondition, "MODEL_IN_USE",
                      absl::StrCat("a job that has not ended draws with ", personalized.ToString(),
                                   "; wait for it or cancel it"),
                      {{"resource", personalized.ToString()}});
    }
    if (Planted("deletion-forgotten")) return absl::OkStatus();
    return database.Prepare(kDeleteModel).Bind(personalized.tenant).Bind(personalized.id).Run();
  });
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
  const bool unheard = kind == Kind::kLeaseLost && after == v1::JOB_STATE_PENDING &&
                       record.failures == failures;
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

// A lease expires one period after it was granted or renewed: since then its time is not yet
// charged.
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

absl::Status SqliteJobStore::OfferBaseModels(const std::vector<v1::BaseModel>& models) {
  return base_models_.Offer(models);
}

absl::StatusOr<std::vector<v1::BaseModel>> SqliteJobStore::BaseModels() {
  return base_models_.List();
}

absl::StatusOr<Erased> SqliteJobStore::ForgetSubject(Transaction& transaction,
                                                     const SubjectRecords& subject) {
  Database& database = transaction.database;
  std::vector<JobRecord> records;
  for (const int64_t key : subject.jobs) {
    ASSIGN_OR_RETURN(auto stored, LoadRecord(database, key));
    if (!stored) continue;
    if (subject.model && !IsTerminal(stored->record.job.state())) {
      return RpcError(absl::StatusCode::kFailedPrecondition, "MODEL_IN_USE",
                      absl::StrCat(stored->record.job.name(), " draws with ", subject.model->name(),
                                   " and has not ended; wait for it or cancel it"),
                      {{"resource", subject.model->name()}, {"job", stored->record.job.name()}});
    }
    records.push_back(std::move(stored->record));
  }
  Erased erased;
  std::set<std::string> blobs;
  for (const JobRecord& record : records) {
    RETURN_IF_ERROR(AddBlobsOfJob(database, record.key, blobs));
    RETURN_IF_ERROR(database.Prepare(kDropWebhookCalls).Bind(record.job.uid()).Run());
    RETURN_IF_ERROR(Forget(transaction, record));
    erased.jobs.push_back(record.job.name());
  }
  if (subject.model) {
    AddBlobsOfModel(*subject.model, blobs);
    ASSIGN_OR_RETURN(const ModelName name, ParseModelName(subject.model->name()));
    RETURN_IF_ERROR(database.Prepare(kDeleteModel).Bind(name.tenant).Bind(name.id).Run());
    ASSIGN_OR_RETURN(last_erased_, InsertErasedModel(database, *subject.model, clock_.Now().wall));
    erased.models.push_back(subject.model->name());
  }
  erased.time = clock_.Now().wall;
  erased.blobs.assign(blobs.begin(), blobs.end());
  for (const std::string& blob : blobs) {
    RETURN_IF_ERROR(InsertBlobToErase(database, {blob, erased.time}));
  }
  return erased;
}

absl::StatusOr<Erased> SqliteJobStore::EraseModel(const ModelName& personalized) {
  Erased erased;
  RETURN_IF_ERROR(Write([&](Transaction& transaction) -> absl::Status {
    ASSIGN_OR_RETURN(const auto subject, FindSubjectOfModel(transaction.database, personalized));
    ASSIGN_OR_RETURN(erased, ForgetSubject(transaction, subject));
    return absl::OkStatus();
  }));
  return erased;
}

absl::StatusOr<Erased> SqliteJobStore::EraseJob(const JobName& name, const std::string& etag) {
  Erased erased;
  RETURN_IF_ERROR(Write([&](Transaction& transaction) -> absl::Status {
    Database& database = transaction.database;
    ASSIGN_OR_RETURN(const int64_t key, FindJob(database, name));
    ASSIGN_OR_RETURN(const auto stored, LoadRecord(database, key));
    if (!stored) return JobNotFound(name);
    RETURN_IF_ERROR(CheckDeletable(stored->record, etag));
    ASSIGN_OR_RETURN(const auto subject, FindSubjectOfJob(database, name, key));
    ASSIGN_OR_RETURN(erased, ForgetSubject(transaction, subject));
    return absl::OkStatus();
  }));
  return erased;
}

absl::StatusOr<std::vector<BlobToErase>> SqliteJobStore::BlobsToErase(int limit) {
  ASSIGN_OR_RETURN(auto database, readers_.Borrow());
  return ReadBlobsToErase(*database, limit);
}

absl::Status SqliteJobStore::DropBlobsToErase(const std::vector<BlobToErase>& blobs) {
  return writer_.Run([&](Transaction& transaction) -> absl::Status {
    for (const BlobToErase& blob : blobs) {
      RETURN_IF_ERROR(DeleteBlobToErase(transaction.database, blob));
    }
    return absl::OkStatus();
  });
}

absl::StatusOr<std::vector<ErasedModel>> SqliteJobStore::ErasedModels(int64_t after, int limit) {
  if (after == last_erased_) return std::vector<ErasedModel>();  // as nearly every poll finds
  ASSIGN_OR_RETURN(auto database, readers_.Borrow());
  return ReadErasedModels(*database, after, limit);
}

}  // namespace likeness::server

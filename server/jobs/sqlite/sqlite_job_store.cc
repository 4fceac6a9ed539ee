#include "server/jobs/sqlite/sqlite_job_store.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "common/job_spec.h"
#include "common/rpc_error.h"
#include "common/status_macros.h"
#include "server/base/planted.h"
#include "server/jobs/job_state.h"
#include "server/jobs/proto_time.h"
#include "server/jobs/sqlite/erasure_table.h"
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
constexpr char kSigningKey[] = "SELECT value FROM meta WHERE name = 'signing_key'";

absl::Status RequestIdReused() {
  return RpcError(absl::StatusCode::kAlreadyExists, "REQUEST_ID_REUSED",
                  "request_id was used for another request; use a new one");
}

absl::Status CheckJobFree(Database& database, const JobName& name) {
  ASSIGN_OR_RETURN(const auto existing, FindKey(database, name));
  if (!existing) return absl::OkStatus();
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
absl::Status CheckInputsStored(const v1::Job& job, const JobStore::IsStored& stored) {
  for (const std::string& blob : InputBlobsOf(job)) {
    if (stored(blob)) continue;
    return RpcError(absl::StatusCode::kFailedPrecondition, "BLOB_NOT_FOUND",
                    absl::StrCat("the job's ", job.has_import_model() ? "file " : "photo ", blob,
                                 " is not kept any longer; upload it and create the job again"),
                    {{"resource", blob}});
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
    if (job.keep) RETURN_IF_ERROR(CheckInputsStored(job.job, job.keep));
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
  // Most jobs that are asked for wait no longer.
  const auto tell = [this](const QueuePlace& place, v1::Job& job) {
    return PlaceTeller()(place, job);
  };
  auto snapshot = ReadSnapshot(*database, name, tell);
  if (!snapshot.ok()) return snapshot;
  if (Planted("read-torn")) {
    absl::SleepFor(absl::Milliseconds(5));
    ASSIGN_OR_RETURN(auto later, readers_.Borrow());
    ASSIGN_OR_RETURN(auto second, ReadSnapshot(*later, name, tell));
    snapshot->last_seq = second.last_seq;
  }
  AddExpiry(snapshot->job, options_.retention);
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
                          if (ended) RETURN_IF_ERROR(CheckInputsStored(record.job, stored));
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

}  // namespace likeness::server

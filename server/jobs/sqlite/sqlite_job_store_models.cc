// The part of the store that knows models, and erases subjects.
#include <set>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/rpc_error.h"
#include "common/status_macros.h"
#include "server/base/planted.h"
#include "server/jobs/job_state.h"
#include "server/jobs/model_update.h"
#include "server/jobs/sqlite/queries.h"
#include "server/jobs/sqlite/sqlite_job_store.h"
#include "server/jobs/transitions.h"

namespace likeness::server {
namespace {

constexpr char kUpdateModel[] = "UPDATE models SET model = ? WHERE tenant = ? AND id = ?";
constexpr char kDeleteModel[] = "DELETE FROM models WHERE tenant = ? AND id = ?";
constexpr char kDropWebhookCalls[] = "DELETE FROM webhook_calls WHERE job = ?";

}  // namespace

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
                      absl::StrCat("a job that has not ended uses ", personalized.ToString(),
                                   "; wait for it or cancel it"),
                      {{"resource", personalized.ToString()}});
    }
    if (Planted("deletion-forgotten")) return absl::OkStatus();
    return database.Prepare(kDeleteModel).Bind(personalized.tenant).Bind(personalized.id).Run();
  });
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
                      absl::StrCat(stored->record.job.name(), " uses ", subject.model->name(),
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
    ASSIGN_OR_RETURN(const ModelName name, ParseModelName(subject.model->name()));
    AddBlobsOfModel(*subject.model, name.tenant, blobs);
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

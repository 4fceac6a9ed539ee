#include "server/jobs/sqlite/erasure_table.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "common/rpc_error.h"
#include "common/status_macros.h"
#include "server/jobs/sqlite/blob_names.h"
#include "server/jobs/sqlite/queries.h"

namespace likeness::server {
namespace {

constexpr char kMaker[] = "SELECT job FROM models WHERE tenant = ? AND id = ? AND job <> 0";
constexpr char kDrawn[] =
    "SELECT key FROM jobs WHERE tenant = ? AND instr(',' || model || ',', ',' || ? || ',') > 0"
    // A fine-tune that has gone on from it keeps what it made, but none may be under way.
    " AND (method IN ('generate', 'evaluate', 'export') OR state IN (1, 2, 3))"
    " ORDER BY key LIMIT ?";
constexpr char kMade[] = "SELECT id FROM models WHERE job = ? AND model IS NOT NULL";
constexpr char kJob[] = "SELECT tenant, job, checkpoint FROM jobs WHERE key = ?";
constexpr char kNoteReplaced[] =
    "INSERT OR REPLACE INTO replaced (blob, job, time) VALUES (?, ?, ?)";
constexpr char kReplaced[] = "SELECT blob FROM replaced WHERE job = ?";
constexpr char kEvents[] = "SELECT event FROM events WHERE job = ?";
constexpr char kInsert[] = "INSERT INTO erased (time, model) VALUES (?, ?) RETURNING key";
// Workers that have not asked for so long start with an empty cache or are told nothing.
constexpr char kForget[] =
    "DELETE FROM erased WHERE key <= (SELECT MAX(key) FROM erased) - ? OR time < ?";
// A number above the largest is of a store that was replaced by its backup: all is told again.
constexpr char kRead[] =
    "SELECT key, model FROM erased"
    " WHERE key > IIF(?1 > (SELECT MAX(key) FROM erased), 0, ?1) ORDER BY key LIMIT ?2";

constexpr char kLast[] = "SELECT IFNULL(MAX(key), 0) FROM erased";

constexpr char kInsertBlob[] = "INSERT OR REPLACE INTO to_erase (blob, time) VALUES (?, ?)";
constexpr char kReadBlobs[] = "SELECT blob, time FROM to_erase LIMIT ?";
constexpr char kDeleteBlob[] = "DELETE FROM to_erase WHERE blob = ? AND time <= ?";

constexpr int kMostJobs = 10'000;
constexpr int kMostErased = 10'000;
constexpr absl::Duration kErasedFor = absl::Hours(24 * 90);

}  // namespace

absl::StatusOr<SubjectRecords> FindSubjectOfModel(Database& database, const ModelName& model) {
  SubjectRecords found;
  ASSIGN_OR_RETURN(found.model, ReadModel(database, model));
  {
    Query maker = database.Prepare(kMaker);
    ASSIGN_OR_RETURN(const bool known, maker.Bind(model.tenant).Bind(model.id).Step());
    if (known) found.jobs.push_back(maker.Integer(0));
  }
  Query drawn = database.Prepare(kDrawn);
  drawn.Bind(model.tenant).Bind(model.ToString()).Bind(int64_t{kMostJobs} + 1);
  for (;;) {
    ASSIGN_OR_RETURN(const bool more, drawn.Step());
    if (!more) break;
    found.jobs.push_back(drawn.Integer(0));
  }
  if (std::ssize(found.jobs) > kMostJobs) {
    return RpcError(absl::StatusCode::kResourceExhausted, "TOO_MANY_JOBS",
                    absl::StrCat("more than ", kMostJobs, " jobs use ", model.ToString(),
                                 "; delete some of them first"));
  }
  return found;
}

absl::StatusOr<SubjectRecords> FindSubjectOfJob(Database& database, const JobName& name,
                                                int64_t key) {
  std::string id;
  {
    Query made = database.Prepare(kMade);
    ASSIGN_OR_RETURN(const bool found, made.Bind(key).Step());
    if (!found) return SubjectRecords{.model = std::nullopt, .jobs = {key}};
    id = made.String(0);
  }
  return FindSubjectOfModel(database, {name.tenant, id});
}

absl::Status NoteReplaced(Database& database, int64_t key, const std::string& checkpoint,
                          absl::Time now) {
  return database.Prepare(kNoteReplaced).Bind(checkpoint).Bind(key).Bind(now).Run();
}

absl::Status AddBlobsOfJob(Database& database, int64_t key, std::set<std::string>& blobs) {
  const auto add = [&](const NamedBlob& blob) { blobs.insert(blob.name.ToString()); };
  std::string tenant;
  {
    Query query = database.Prepare(kJob);
    ASSIGN_OR_RETURN(const bool found, query.Bind(key).Step());
    if (!found) return absl::OkStatus();
    tenant = query.String(0);
    v1::Job job;
    job.ParseFromString(query.String(1));
    VisitBlobsOf(job, tenant, add);
    v1::Checkpoint checkpoint;
    checkpoint.ParseFromString(query.String(2));
    VisitBlobsOf(checkpoint, tenant, add);
  }
  {
    Query replaced = database.Prepare(kReplaced);
    replaced.Bind(key);
    for (;;) {
      ASSIGN_OR_RETURN(const bool found, replaced.Step());
      if (!found) break;
      blobs.insert(replaced.String(0));
    }
  }
  Query events = database.Prepare(kEvents);
  events.Bind(key);
  for (;;) {
    ASSIGN_OR_RETURN(const bool found, events.Step());
    if (!found) return absl::OkStatus();
    v1::JobEvent event;
    event.ParseFromString(events.String(0));
    VisitBlobsOf(event, tenant, add);
  }
}

void AddBlobsOfModel(const v1::Model& model, const std::string& tenant,
                     std::set<std::string>& blobs) {
  VisitBlobsOf(model, tenant, [&](const NamedBlob& blob) { blobs.insert(blob.name.ToString()); });
}

absl::StatusOr<int64_t> InsertErasedModel(Database& database, const v1::Model& model,
                                          absl::Time now) {
  v1::LeasedModel erased;
  erased.set_name(model.name());
  *erased.mutable_files() = model.files();
  int64_t number = 0;
  {
    Query insert = database.Prepare(kInsert);
    RETURN_IF_ERROR(insert.Bind(now).BindBlob(erased.SerializeAsString()).Run());
    number = insert.Integer(0);
  }
  RETURN_IF_ERROR(
      database.Prepare(kForget).Bind(int64_t{kMostErased}).Bind(now - kErasedFor).Run());
  return number;
}

absl::StatusOr<int64_t> ReadLastErased(Database& database) {
  Query query = database.Prepare(kLast);
  RETURN_IF_ERROR(query.Run());
  return query.Integer(0);
}

absl::Status InsertBlobToErase(Database& database, const BlobToErase& blob) {
  return database.Prepare(kInsertBlob).Bind(blob.name).Bind(blob.time).Run();
}

absl::StatusOr<std::vector<BlobToErase>> ReadBlobsToErase(Database& database, int limit) {
  std::vector<BlobToErase> blobs;
  Query query = database.Prepare(kReadBlobs);
  query.Bind(int64_t{limit});
  for (;;) {
    ASSIGN_OR_RETURN(const bool found, query.Step());
    if (!found) return blobs;
    blobs.push_back({query.String(0), query.Time(1)});
  }
}

absl::Status DeleteBlobToErase(Database& database, const BlobToErase& blob) {
  return database.Prepare(kDeleteBlob).Bind(blob.name).Bind(blob.time).Run();
}

absl::StatusOr<std::vector<ErasedModel>> ReadErasedModels(Database& database, int64_t after,
                                                          int limit) {
  std::vector<ErasedModel> erased;
  Query query = database.Prepare(kRead);
  query.Bind(after).Bind(int64_t{limit});
  for (;;) {
    ASSIGN_OR_RETURN(const bool found, query.Step());
    if (!found) return erased;
    ErasedModel& model = erased.emplace_back();
    model.number = query.Integer(0);
    model.model.ParseFromString(query.String(1));
  }
}

}  // namespace likeness::server

#include "server/jobs/sqlite/record_table.h"

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "common/rpc_error.h"
#include "common/status_macros.h"
#include "server/base/planted.h"
#include "server/jobs/proto_time.h"

namespace likeness::server {
namespace {

constexpr char kLoad[] =
    "SELECT job, lease_token, lease_expire, worker, failures, not_before, checkpoint, last_seq,"
    " version FROM jobs WHERE key = ?";
constexpr char kFind[] = "SELECT key FROM jobs WHERE tenant = ? AND id = ?";
constexpr char kInsert[] =
    "INSERT INTO jobs (tenant, id, state, method, model, samplers, base_digest, create_time,"
    " not_before, lease_token, lease_expire, worker, failures, last_seq, version, job)"
    " VALUES (?, ?, ?, ?, ?, ?, '', ?, ?, '', ?, '', 0, ?, 1, ?) RETURNING key";
constexpr char kInsertLabel[] = "INSERT INTO labels (job, key, value) VALUES (?, ?, ?)";
constexpr char kDeleteLabels[] = "DELETE FROM labels WHERE job = ?";
constexpr char kSave[] =
    "UPDATE jobs SET state = ?, base_digest = ?, not_before = ?, lease_token = ?, lease_expire = ?,"
    " worker = ?, failures = ?, last_seq = ?, end_time = ?, checkpoint = ?, job = ?,"
    " version = version + 1"
    " WHERE key = ? AND version = ?";
constexpr char kInsertEvent[] = "INSERT INTO events (job, seq, event) VALUES (?, ?, ?)";
constexpr char kDeleteEvents[] = "DELETE FROM events WHERE job = ?";
constexpr char kDeleteRequest[] = "DELETE FROM requests WHERE job = ?";
constexpr char kLeaveModel[] = "UPDATE models SET job = 0 WHERE job = ?";
constexpr char kDeleteJob[] = "DELETE FROM jobs WHERE key = ?";
constexpr char kExpired[] =
    "SELECT key FROM jobs WHERE state IN (2, 3) AND lease_expire <= ? ORDER BY lease_expire";

absl::Status InsertEvents(Database& database, const JobRecord& record) {
  for (const v1::JobEvent& event : record.new_events) {
    if (Planted("event-dropped") && event.seq() % 5 == 0) continue;
    Query query = database.Prepare(kInsertEvent);
    query.Bind(record.key).Bind(event.seq()).BindBlob(event.SerializeAsString());
    RETURN_IF_ERROR(query.Run());
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<std::optional<StoredRecord>> LoadRecord(Database& database, int64_t key) {
  Query query = database.Prepare(kLoad);
  ASSIGN_OR_RETURN(bool found, query.Bind(key).Step());
  if (!found) return std::nullopt;
  StoredRecord stored;
  JobRecord& record = stored.record;
  record.key = key;
  const absl::string_view job = query.Bytes(0);
  if (!record.job.ParseFromArray(job.data(), static_cast<int>(job.size()))) {
    return RpcError(absl::StatusCode::kDataLoss, "STORE_FAILED", "a stored job cannot be read");
  }
  record.lease_token = query.String(1);
  record.lease_expire = query.Time(2);
  record.worker = query.String(3);
  record.failures = static_cast<int>(query.Integer(4));
  record.not_before = query.Time(5);
  if (!query.IsNull(6)) record.checkpoint.emplace().ParseFromString(query.String(6));
  record.last_seq = query.Integer(7);
  stored.version = query.Integer(8);
  return stored;
}

absl::Status JobNotFound(const JobName& name) {
  return RpcError(absl::StatusCode::kNotFound, "JOB_NOT_FOUND",
                  absl::StrCat("there is no job ", name.ToString()));
}

absl::StatusOr<int64_t> FindJob(Database& database, const JobName& name) {
  Query query = database.Prepare(kFind);
  ASSIGN_OR_RETURN(bool found, query.Bind(name.tenant).Bind(name.id).Step());
  if (!found) return JobNotFound(name);
  return query.Integer(0);
}

absl::Status InsertRecord(Database& database, const JobName& name, JobRecord& record) {
  Query query = database.Prepare(kInsert);
  query.Bind(name.tenant).Bind(name.id).Bind(record.job.state()).Bind(MethodOf(record.job));
  query.Bind(ModelOf(record.job)).Bind(absl::StrJoin(SamplersOf(record.job), ","));
  query.Bind(FromProto(record.job.create_time())).Bind(record.not_before).Bind(record.lease_expire);
  query.Bind(record.last_seq).BindBlob(record.job.SerializeAsString());
  RETURN_IF_ERROR(query.Run());
  record.key = query.Integer(0);
  for (const auto& [key, value] : record.job.labels()) {
    RETURN_IF_ERROR(database.Prepare(kInsertLabel).Bind(record.key).Bind(key).Bind(value).Run());
  }
  return InsertEvents(database, record);
}

absl::Status SaveRecord(Database& database, const StoredRecord& stored) {
  const JobRecord& record = stored.record;
  const std::string digest =
      record.checkpoint ? record.checkpoint->resolved().base_model_digest() : "";
  {
    Query query = database.Prepare(kSave);
    query.Bind(record.job.state()).Bind(digest).Bind(record.not_before).Bind(record.lease_token);
    query.Bind(record.lease_expire).Bind(record.worker).Bind(record.failures);
    query.Bind(record.last_seq);
    query.Bind(record.job.has_end_time() ? FromProto(record.job.end_time())
                                         : absl::InfiniteFuture());
    if (record.checkpoint) {
      query.BindBlob(record.checkpoint->SerializeAsString());
    } else {
      query.BindNull();
    }
    query.BindBlob(record.job.SerializeAsString()).Bind(record.key).Bind(stored.version);
    RETURN_IF_ERROR(query.Run());
  }
  if (database.changes() != 1) {
    return RpcError(absl::StatusCode::kAborted, "CONCURRENT_CHANGE",
                    "the job was changed by somebody else at the same time; try again");
  }
  return InsertEvents(database, record);
}

absl::Status DeleteRecord(Database& database, int64_t key) {
  RETURN_IF_ERROR(database.Prepare(kDeleteEvents).Bind(key).Run());
  RETURN_IF_ERROR(database.Prepare(kDeleteLabels).Bind(key).Run());
  RETURN_IF_ERROR(database.Prepare(kDeleteRequest).Bind(key).Run());
  RETURN_IF_ERROR(database.Prepare(kLeaveModel).Bind(key).Run());  // keys may be used again
  return database.Prepare(kDeleteJob).Bind(key).Run();
}

absl::StatusOr<std::vector<int64_t>> ExpiredLeases(Database& database, absl::Time now) {
  Query query = database.Prepare(kExpired);
  query.Bind(now);
  std::vector<int64_t> keys;
  for (;;) {
    ASSIGN_OR_RETURN(bool found, query.Step());
    if (!found) return keys;
    keys.push_back(query.Integer(0));
  }
}

}  // namespace likeness::server

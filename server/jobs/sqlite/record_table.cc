#include "server/jobs/sqlite/record_table.h"

#include <string>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "common/networks.h"
#include "common/rpc_error.h"
#include "common/spec_revision.h"
#include "common/status_macros.h"
#include "server/base/planted.h"
#include "server/jobs/measures_needed.h"
#include "server/jobs/proto_time.h"
#include "server/jobs/sqlite/event_table.h"
#include "server/jobs/sqlite/queries.h"
#include "server/jobs/sqlite/requirements_text.h"

namespace likeness::server {
namespace {

constexpr char kLoad[] =
    "SELECT job, lease_token, lease_expire, worker, failures, not_before, checkpoint, last_seq,"
    " version, queue_time, deadline, attempt_time, run_time, last_event_time, heard, last_sequence,"
    " ended_token, ended_by, acquire_request, expire, seq, time, progress"
    " FROM jobs LEFT JOIN reports ON owner = key WHERE key = ?";
constexpr char kFind[] = "SELECT key FROM jobs WHERE tenant = ? AND id = ?";
constexpr char kInsert[] =
    "INSERT INTO jobs (tenant, id, state, method, model, samplers, base_digest, create_time,"
    " not_before, lease_token, lease_expire, worker, failures, last_seq, version, job,"
    " priority, base_model, requirements, queue_time, deadline, schedule_time, last_event_time,"
    " stall_timeout)"
    " VALUES (?, ?, ?, ?, ?, ?, '', ?, ?, '', ?, '', 0, ?, 1, ?, ?, ?, ?, ?, ?, ?, ?, ?)";
constexpr char kInsertLabel[] = "INSERT INTO labels (job, key, value) VALUES (?, ?, ?)";
constexpr char kSetPriority[] = "UPDATE jobs SET priority = ? WHERE key = ?";
constexpr char kDeleteLabels[] = "DELETE FROM labels WHERE job = ?";
constexpr char kSave[] =
    "UPDATE jobs SET state = ?, base_digest = ?, not_before = ?, lease_token = ?, lease_expire = ?,"
    " worker = ?, failures = ?, last_seq = ?, end_time = ?, checkpoint = ?, job = ?,"
    " base_model = ?, queue_time = ?, deadline = ?, attempt_time = ?, run_time = ?,"
    " last_event_time = ?, heard = ?, last_sequence = ?, ended_token = ?, ended_by = ?,"
    " acquire_request = ?,"
    " version = version + 1"
    " WHERE key = ? AND version = ?";
constexpr char kDropReport[] = "DELETE FROM reports WHERE owner = ?";
constexpr char kSaveReport[] =
    "INSERT INTO reports (owner, expire, seq, time, progress) VALUES (?, ?, ?, ?, ?)"
    " ON CONFLICT (owner) DO UPDATE SET expire = excluded.expire, seq = excluded.seq,"
    " time = excluded.time, progress = excluded.progress";
// Events that reports made, unlike others, come after the last one that the job's own row knows.
constexpr char kReplaceProgress[] =
    "DELETE FROM events WHERE job = ?1 AND seq = ?2"
    " AND seq > (SELECT last_seq FROM jobs WHERE key = ?1)";
constexpr char kDeleteEvents[] = "DELETE FROM events WHERE job = ?";
constexpr char kDeleteReplaced[] = "DELETE FROM replaced WHERE job = ?";
constexpr char kDeleteRequest[] = "DELETE FROM requests WHERE job = ?";
constexpr char kMoveRequest[] =  // a planted bug: it names whichever job has the key by now
    "UPDATE requests SET job = (SELECT MAX(key) FROM jobs WHERE key <> ?1) WHERE job = ?1";
constexpr char kLeaveModel[] = "UPDATE models SET job = 0 WHERE job = ?";
constexpr char kDeleteJob[] = "DELETE FROM jobs WHERE key = ?";
constexpr char kExpired[] =
    "SELECT key FROM jobs INDEXED BY jobs_leased WHERE state IN (2, 3) AND lease_expire <= ?1"
    " AND NOT EXISTS (SELECT 1 FROM reports WHERE owner = key AND expire > ?1)"
    " ORDER BY lease_expire";
constexpr char kOverdue[] =
    "SELECT key FROM jobs INDEXED BY jobs_by_deadline WHERE state <= 3 AND deadline < "
    "9223372036854775807"
    " AND deadline <= ? ORDER BY deadline LIMIT 1000";

constexpr char kEnded[] =
    "SELECT key FROM jobs INDEXED BY jobs_ended WHERE state >= 4 AND end_time <= ? ORDER "
    "BY end_time LIMIT ?";
constexpr char kToCompact[] =
    "SELECT key FROM jobs INDEXED BY jobs_to_compact WHERE state >= 4 AND compacted_seq < "
    "last_seq - 1"
    " AND end_time <= ? ORDER BY end_time LIMIT ?";

// Jobs of old files have it in the column only once they are written again.
absl::string_view BaseModelOf(const v1::Job& job) {
  const absl::string_view model = ModelOf(job);
  return absl::StartsWith(model, "baseModels/") ? model : "";
}

// What must judge the job's images, if anything must.
absl::Status AddJudge(Database& database, const v1::Job& job, Needs& needs) {
  if (MustBeJudged(job.fine_tune())) {
    needs.methods.push_back("evaluate");
    needs.measures = MeasuresNeeded(job.fine_tune());
    if (job.fine_tune().judge().evaluators().empty()) needs.judged_as = ModelOf(job);
  }
  if (!job.has_evaluate()) return absl::OkStatus();
  needs.measures = MeasuresNeeded(job.evaluate());
  std::string base = ModelOf(job);
  ASSIGN_OR_RETURN(const ModelName name, ParseModelName(base));
  if (!name.is_base()) {
    ASSIGN_OR_RETURN(const v1::Model model, ReadModel(database, name));
    base = model.base_model();
  }
  if (job.evaluate().evaluators().empty()) needs.judged_as = std::move(base);
  return absl::OkStatus();
}

// What a worker must have besides the job's own method, base model and samplers. One of before
// adapters, judges or settings that the job names would do without them and say that it succeeded.
absl::StatusOr<Needs> OtherNeeds(Database& database, const v1::Job& job) {
  Needs needs;
  needs.device_memory_bytes = job.requirements().min_device_memory_bytes();
  for (const auto& label : job.requirements().labels()) needs.labels.emplace_back(label);
  needs.spec_revision = SpecRevisionOf(job);
  for (const NetworkNeed& need : NetworksNeeded(job)) needs.methods.emplace_back(need.method);
  RETURN_IF_ERROR(AddJudge(database, job, needs));
  auto models = ModelsOf(job);
  models.erase(models.begin());  // what they lie over
  for (const std::string& adapter : models) {
    ASSIGN_OR_RETURN(const ModelName name, ParseModelName(adapter));
    ASSIGN_OR_RETURN(const v1::Model model, ReadModel(database, name));
    if (std::find(needs.methods.begin(), needs.methods.end(), model.method()) ==
        needs.methods.end()) {
      needs.methods.push_back(model.method());
    }
  }
  return needs;
}

absl::StatusOr<std::vector<int64_t>> Keys(Query query) {
  std::vector<int64_t> keys;
  for (;;) {
    ASSIGN_OR_RETURN(bool found, query.Step());
    if (!found) return keys;
    keys.push_back(query.Integer(0));
  }
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
  record.queue_time = query.Time(9);
  record.deadline = query.Time(10);
  record.attempt_time = query.Time(11);
  record.run_time = absl::Microseconds(query.Integer(12));
  record.last_event_time = query.Time(13);
  record.heard = query.Integer(14) != 0;
  record.last_sequence = query.Integer(15);
  record.ended_token = query.String(16);
  record.ended_by = static_cast<LeaseEnd>(query.Integer(17));
  record.acquire_request = query.String(18);
  if (query.IsNull(19)) return stored;
  record.lease_expire = query.Time(19);
  stored.report = record.last_seq = query.Integer(20);
  record.last_event_time = query.Time(21);
  record.job.mutable_progress()->ParseFromString(query.String(22));
  return stored;
}

absl::Status JobNotFound(const JobName& name) {
  return RpcError(absl::StatusCode::kNotFound, "JOB_NOT_FOUND",
                  absl::StrCat("there is no job ", name.ToString()),
                  {{"resource", name.ToString()}});
}

absl::StatusOr<std::optional<int64_t>> FindKey(Database& database, const JobName& name) {
  Query query = database.Prepare(kFind);
  ASSIGN_OR_RETURN(bool found, query.Bind(name.tenant).Bind(name.id).Step());
  if (!found) return std::nullopt;
  return query.Integer(0);
}

absl::StatusOr<int64_t> FindJob(Database& database, const JobName& name) {
  ASSIGN_OR_RETURN(const auto key, FindKey(database, name));
  if (!key) return JobNotFound(name);
  return *key;
}

absl::Status InsertRecord(Database& database, const JobName& name, int64_t commit,
                          JobRecord& record) {
  ASSIGN_OR_RETURN(const Needs needs, OtherNeeds(database, record.job));
  Query query = database.Prepare(kInsert);
  query.Bind(name.tenant).Bind(name.id).Bind(record.job.state()).Bind(MethodOf(record.job));
  query.Bind(absl::StrJoin(ModelsOf(record.job), ","))
      .Bind(absl::StrJoin(SamplersOf(record.job), ","));
  query.Bind(FromProto(record.job.create_time())).Bind(record.not_before).Bind(record.lease_expire);
  query.Bind(record.last_seq).BindBlob(record.job.SerializeAsString());
  query.Bind(PriorityOf(record.job)).Bind(BaseModelOf(record.job));
  query.Bind(RequirementsText(needs));
  query.Bind(record.queue_time).Bind(record.deadline);
  if (record.job.has_schedule_time()) {
    query.Bind(FromProto(record.job.schedule_time()));
  } else {
    query.Bind(0);
  }
  query.Bind(record.last_event_time);
  query.Bind(absl::ToInt64Microseconds(FromProto(record.job.stall_timeout())));
  RETURN_IF_ERROR(query.Run());
  record.key = database.last_key();
  for (const auto& [key, value] : record.job.labels()) {
    RETURN_IF_ERROR(database.Prepare(kInsertLabel).Bind(record.key).Bind(key).Bind(value).Run());
  }
  return InsertEvents(database, commit, record);
}

absl::Status SaveRecord(Database& database, int64_t commit, const StoredRecord& stored) {
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
    query.BindBlob(record.job.SerializeAsString()).Bind(BaseModelOf(record.job));
    query.Bind(record.queue_time).Bind(record.deadline);
    query.Bind(record.attempt_time).Bind(absl::ToInt64Microseconds(record.run_time));
    query.Bind(record.last_event_time).Bind(int64_t{record.heard});
    query.Bind(record.last_sequence);
    query.Bind(record.ended_token).Bind(static_cast<int64_t>(record.ended_by));
    query.Bind(record.acquire_request);
    query.Bind(record.key).Bind(stored.version);
    RETURN_IF_ERROR(query.Run());
  }
  if (database.changes() != 1) {
    return RpcError(absl::StatusCode::kAborted, "CONCURRENT_CHANGE",
                    "the job was changed by somebody else at the same time; try again");
  }
  if (stored.report != 0) RETURN_IF_ERROR(database.Prepare(kDropReport).Bind(record.key).Run());
  return InsertEvents(database, commit, record);
}

absl::Status SaveReport(Database& database, int64_t commit, const StoredRecord& stored) {
  const JobRecord& record = stored.record;
  {
    Query query = database.Prepare(kSaveReport);
    query.Bind(record.key).Bind(record.lease_expire).Bind(record.last_seq);
    query.Bind(record.last_event_time).BindBlob(record.job.progress().SerializeAsString());
    RETURN_IF_ERROR(query.Run());
  }
  if (record.new_events.empty()) return absl::OkStatus();
  RETURN_IF_ERROR(database.Prepare(kReplaceProgress).Bind(record.key).Bind(stored.report).Run());
  return InsertEvents(database, commit, record);
}

absl::Status SaveUpdate(Database& database, int64_t key, const v1::Job& job) {
  RETURN_IF_ERROR(database.Prepare(kSetPriority).Bind(PriorityOf(job)).Bind(key).Run());
  RETURN_IF_ERROR(database.Prepare(kDeleteLabels).Bind(key).Run());
  for (const auto& [label, value] : job.labels()) {
    RETURN_IF_ERROR(database.Prepare(kInsertLabel).Bind(key).Bind(label).Bind(value).Run());
  }
  return absl::OkStatus();
}

absl::Status DeleteRecord(Database& database, int64_t key) {
  RETURN_IF_ERROR(database.Prepare(kDeleteEvents).Bind(key).Run());
  RETURN_IF_ERROR(database.Prepare(kDeleteLabels).Bind(key).Run());
  RETURN_IF_ERROR(database.Prepare(kDeleteReplaced).Bind(key).Run());
  const char* forget = Planted("key-reused") ? kMoveRequest : kDeleteRequest;
  RETURN_IF_ERROR(database.Prepare(forget).Bind(key).Run());
  RETURN_IF_ERROR(database.Prepare(kLeaveModel).Bind(key).Run());
  return database.Prepare(kDeleteJob).Bind(key).Run();
}

absl::StatusOr<std::vector<int64_t>> ExpiredLeases(Database& database, absl::Time now) {
  return Keys(std::move(database.Prepare(kExpired).Bind(now)));
}

absl::StatusOr<std::vector<int64_t>> OverdueJobs(Database& database, absl::Time now) {
  return Keys(std::move(database.Prepare(kOverdue).Bind(now)));
}

absl::StatusOr<std::vector<int64_t>> EndedJobs(Database& database, absl::Time end, int limit) {
  return Keys(std::move(database.Prepare(kEnded).Bind(end).Bind(limit)));
}

absl::StatusOr<std::vector<int64_t>> JobsToCompact(Database& database, absl::Time end, int limit) {
  return Keys(std::move(database.Prepare(kToCompact).Bind(end).Bind(limit)));
}

}  // namespace likeness::server

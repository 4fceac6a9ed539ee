#include "server/jobs/sqlite/queries.h"

#include <algorithm>
#include <set>
#include <string>
#include <utility>
#include <variant>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "common/rpc_error.h"
#include "common/status_macros.h"
#include "server/base/planted.h"
#include "server/jobs/job_state.h"
#include "server/jobs/model_update.h"
#include "server/jobs/sqlite/filter_sql.h"
#include "server/jobs/sqlite/record_table.h"

namespace likeness::server {
namespace {

constexpr char kPlace[] =
    "key, priority, queue_time, not_before, (SELECT progress FROM reports WHERE owner = key)";
constexpr char kSnapshot[] =
    "SELECT job, IFNULL(seq, last_seq), key, priority, queue_time, not_before, progress FROM jobs"
    " LEFT JOIN reports ON owner = key WHERE tenant = ? AND id = ?";
constexpr char kCompacted[] =
    "SELECT compacted_seq FROM jobs WHERE key = ? AND tenant = ? AND id = ?";
constexpr char kJob[] =
    "SELECT job, progress FROM jobs LEFT JOIN reports ON owner = key WHERE key = ?";
constexpr char kEvents[] =
    "SELECT event FROM events WHERE job = ? AND seq > ? ORDER BY seq LIMIT ?";
constexpr char kRequest[] =
    "SELECT fingerprint, job FROM requests WHERE tenant = ? AND request_id = ?";
constexpr char kModel[] = "SELECT model FROM models WHERE tenant = ? AND id = ?";
constexpr char kModels[] =
    "SELECT id, model FROM models WHERE tenant = ? AND id > ? AND model IS NOT NULL"
    " ORDER BY id LIMIT ?";
constexpr char kModelUsers[] =
    "SELECT 1 FROM jobs INDEXED BY jobs_by_state WHERE state IN (1, 2, 3) AND tenant = ?1"
    " AND instr(',' || model || ',', ',' || ?2 || ',') LIMIT 1";
constexpr char kLease[] =
    "SELECT tenant, id, state IN (2, 3) AND (lease_token = ?2 OR ?3) AND"
    " IFNULL((SELECT expire FROM reports WHERE owner = key), lease_expire) > ?4, stall_timeout, "
    "worker"
    " FROM jobs"
    " WHERE key = ?1 AND (lease_token = ?2 OR ended_token = ?2 OR ?3)";
constexpr char kUnheard[] =
    "SELECT key FROM jobs INDEXED BY jobs_unheard WHERE state = 2 AND heard = 0"
    " AND acquire_request = ? AND acquire_request <> '' AND lease_expire > ? LIMIT 1";

constexpr size_t kMaxPageBytes = 2 << 20;
constexpr size_t kMaxEventBytes = 1 << 20;

template <typename Message>
void Parse(absl::string_view bytes, Message& message) {
  message.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()));
}

template <typename Message>
Message Parsed(absl::string_view bytes) {
  Message message;
  Parse(bytes, message);
  return message;
}

// Reads the job in column 0 with its latest progress, told its place if it waits: the columns from
// `place` on are those of kPlace. Into what is there, since a job is a large message to move.
absl::Status ReadJobOf(const Query& row, int place, const std::string& tenant, TellPlace tell,
                       v1::Job& job) {
  Parse(row.Bytes(0), job);
  if (!row.IsNull(place + 4)) Parse(row.Bytes(place + 4), *job.mutable_progress());
  if (job.state() != v1::JOB_STATE_PENDING) return absl::OkStatus();
  return tell({.tenant = tenant,
               .priority = static_cast<int>(row.Integer(place + 1)),
               .queue_time = row.Time(place + 2),
               .not_before = row.Time(place + 3),
               .key = row.Integer(place)},
              job);
}

// Where a list is read from: an index, and of it the jobs of a tenant. Those of one state lie in
// the list's order, and those that workers hold are few enough to be sorted.
std::string SourceOf(const JobQuery& query) {
  if (query.order.field == JobOrder::Field::kEndTime) return "jobs_by_end WHERE tenant = ?";
  const std::set<v1::JobState> states = PossibleStates(query.filter);
  if (states.empty()) return "jobs_of_state WHERE tenant = ? AND state = 0";  // nothing is
  const bool leased = std::all_of(states.begin(), states.end(), IsLeased);
  if (states.size() > 1 && !leased) return "jobs_by_creation WHERE tenant = ?";
  return absl::StrCat("jobs_of_state WHERE tenant = ? AND state IN (", absl::StrJoin(states, ", "),
                      ")");
}

// Rows of job, what they are ordered by, and place.
Query PageOf(Database& database, const std::string& tenant, const JobQuery& query,
             const std::vector<int64_t>& damaged) {
  const bool by_end = query.order.field == JobOrder::Field::kEndTime;
  const char* column = by_end ? "end_time" : "key";  // keys grow with the time of creation
  const char* direction = query.order.descending ? "DESC" : "ASC";
  const SqlCondition filter = ToSql(query.filter);
  std::string sql = absl::StrCat("SELECT job, ", column, ", ", kPlace,
                                 ", IFNULL((SELECT seq FROM reports WHERE owner = key), last_seq)"
                                 " FROM jobs INDEXED BY ",
                                 SourceOf(query), " AND ", filter.sql);
  if (!damaged.empty()) {
    absl::StrAppend(&sql, " AND key NOT IN (", absl::StrJoin(damaged, ", "), ")");
  }
  if (query.after) {
    absl::StrAppend(&sql, " AND (", column, ", key) ", query.order.descending ? "<" : ">",
                    " (?, ?)");
  }
  absl::StrAppend(&sql, " ORDER BY ", column, " ", direction, ", key ", direction, " LIMIT ?");
  Query rows = database.PrepareOnce(sql);
  rows.Bind(tenant);
  for (const auto& value : filter.values) {
    std::visit([&](const auto& bound) { rows.Bind(bound); }, value);
  }
  if (query.after) rows.Bind(query.after->value).Bind(query.after->key);
  rows.Bind(query.limit + 1);
  return rows;
}

}  // namespace

absl::StatusOr<JobSnapshot> ReadSnapshot(Database& database, const JobName& name, TellPlace tell) {
  Query query = database.Prepare(kSnapshot);
  ASSIGN_OR_RETURN(bool found, query.Bind(name.tenant).Bind(name.id).Step());
  if (!found) return JobNotFound(name);
  absl::StatusOr<JobSnapshot> snapshot(absl::in_place);
  snapshot->key = query.Integer(2);
  snapshot->last_seq = query.Integer(1);
  RETURN_IF_ERROR(ReadJobOf(query, 2, name.tenant, tell, snapshot->job));
  return snapshot;
}

absl::StatusOr<JobPage> ReadPage(Database& database, const std::string& tenant,
                                 const JobQuery& query, const std::vector<int64_t>& damaged,
                                 TellPlace tell) {
  Query rows = PageOf(database, tenant, query, damaged);
  JobPage page;
  size_t bytes = 0;
  JobCursor last;
  for (;;) {
    ASSIGN_OR_RETURN(bool found, rows.Step());
    if (!found) return page;
    if (static_cast<int>(page.jobs.size()) == query.limit || bytes > kMaxPageBytes) {
      page.next = last;
      return page;
    }
    last = {.value = rows.Integer(1), .key = rows.Integer(2)};
    bytes += rows.Bytes(0).size();
    RETURN_IF_ERROR(ReadJobOf(rows, 2, tenant, tell, page.jobs.emplace_back()));
    page.last_seqs.push_back(rows.Integer(7));
  }
}

absl::Status CheckAllKept(Database& database, const JobName& name, int64_t key, int64_t after) {
  Query compacted = database.Prepare(kCompacted);
  ASSIGN_OR_RETURN(bool found, compacted.Bind(key).Bind(name.tenant).Bind(name.id).Step());
  if (!found) return JobNotFound(name);
  if (after >= compacted.Integer(0)) return absl::OkStatus();
  return RpcError(absl::StatusCode::kFailedPrecondition, "RESUME_TOKEN_EXPIRED",
                  "the events after this one are not all kept; watch again from a snapshot");
}

absl::StatusOr<std::vector<v1::JobEvent>> ReadEvents(Database& database, int64_t key, int64_t after,
                                                     int limit) {
  Query query = database.Prepare(kEvents);
  query.Bind(key).Bind(after).Bind(limit);
  std::vector<v1::JobEvent> events;
  for (size_t bytes = 0; bytes < kMaxEventBytes;) {
    ASSIGN_OR_RETURN(bool found, query.Step());
    if (!found) break;
    bytes += query.Bytes(0).size();
    events.push_back(Parsed<v1::JobEvent>(query.Bytes(0)));
  }
  return events;
}

absl::StatusOr<std::optional<StoredRequest>> ReadRequest(Database& database,
                                                         const std::string& tenant,
                                                         const std::string& request_id) {
  Query query = database.Prepare(kRequest);
  ASSIGN_OR_RETURN(bool found, query.Bind(tenant).Bind(request_id).Step());
  if (!found) return std::nullopt;
  return StoredRequest{query.String(0), query.Integer(1)};
}

absl::StatusOr<v1::Job> ReadJob(Database& database, int64_t key) {
  Query query = database.Prepare(kJob);
  ASSIGN_OR_RETURN(bool found, query.Bind(key).Step());
  if (!found) {
    return RpcError(absl::StatusCode::kDataLoss, "STORE_FAILED", "a stored job is missing");
  }
  v1::Job job = Parsed<v1::Job>(query.Bytes(0));
  if (!query.IsNull(1)) *job.mutable_progress() = Parsed<v1::Progress>(query.Bytes(1));
  return job;
}

absl::StatusOr<v1::Model> ReadModel(Database& database, const ModelName& model) {
  Query query = database.Prepare(kModel);
  ASSIGN_OR_RETURN(bool found, query.Bind(model.tenant).Bind(model.id).Step());
  if (!found) {
    return RpcError(absl::StatusCode::kNotFound, "MODEL_NOT_FOUND",
                    absl::StrCat("there is no model ", model.ToString()),
                    {{"resource", model.ToString()}});
  }
  if (query.IsNull(0)) {
    return RpcError(absl::StatusCode::kFailedPrecondition, "MODEL_NOT_READY",
                    absl::StrCat(model.ToString(), " is still being made"),
                    {{"resource", model.ToString()}});
  }
  auto read = Parsed<v1::Model>(query.Bytes(0));
  CompleteModel(read);
  return read;
}

absl::StatusOr<ModelPage> ReadModels(Database& database, const std::string& tenant,
                                     const std::string& after, int limit) {
  Query query = database.Prepare(kModels);
  query.Bind(tenant).Bind(after).Bind(limit + 1);
  ModelPage page;
  size_t bytes = 0;
  std::string last;
  for (;;) {
    ASSIGN_OR_RETURN(bool found, query.Step());
    if (!found) return page;
    if (static_cast<int>(page.models.size()) == limit || bytes > kMaxPageBytes) {
      page.next = last;
      return page;
    }
    last = query.String(0);
    bytes += query.Bytes(1).size();
    page.models.push_back(Parsed<v1::Model>(query.Bytes(1)));
    CompleteModel(page.models.back());
  }
}

absl::StatusOr<bool> ModelInUse(Database& database, const ModelName& model) {
  Query query = database.Prepare(kModelUsers);
  return query.Bind(model.tenant).Bind(model.ToString()).Step();
}

absl::StatusOr<std::optional<LeasedJob>> ReadLease(Database& database, int64_t key,
                                                   const std::string& token, absl::Time now) {
  Query query = database.Prepare(kLease);
  ASSIGN_OR_RETURN(
      bool found,
      query.Bind(key).Bind(token).Bind(int64_t{Planted("no-fencing")}).Bind(now).Step());
  if (!found) return std::nullopt;
  return LeasedJob{{query.String(0), query.String(1)},
                   query.Integer(2) != 0,
                   absl::Microseconds(query.Integer(3)),
                   query.String(4)};
}

absl::StatusOr<std::optional<int64_t>> FindUnheardLease(Database& database,
                                                        const std::string& request,
                                                        absl::Time now) {
  Query query = database.Prepare(kUnheard);
  ASSIGN_OR_RETURN(bool found, query.Bind(request).Bind(now).Step());
  if (!found) return std::nullopt;
  return query.Integer(0);
}

}  // namespace likeness::server

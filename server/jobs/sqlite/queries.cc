#include "server/jobs/sqlite/queries.h"

#include <utility>
#include <variant>

#include "absl/container/flat_hash_map.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "common/rpc_error.h"
#include "common/status_macros.h"
#include "server/jobs/sqlite/filter_sql.h"
#include "server/jobs/sqlite/record_table.h"

namespace likeness::server {
namespace {

constexpr char kSnapshot[] =
    "SELECT job, last_seq, key, state FROM jobs WHERE tenant = ? AND id = ?";
constexpr char kPosition[] =
    "SELECT COUNT(*) FROM (SELECT 1 FROM jobs WHERE state = 1 AND key < ? LIMIT 10000)";
constexpr char kQueue[] = "SELECT key FROM jobs WHERE state = 1 ORDER BY key LIMIT 10000";
constexpr char kEvents[] =
    "SELECT event FROM events WHERE job = ? AND seq > ? ORDER BY seq LIMIT ?";
constexpr char kRequest[] =
    "SELECT fingerprint, job FROM requests WHERE tenant = ? AND request_id = ?";
constexpr char kModel[] = "SELECT model FROM models WHERE tenant = ? AND id = ?";
constexpr char kModels[] =
    "SELECT id, model FROM models WHERE tenant = ? AND id > ? AND model IS NOT NULL"
    " ORDER BY id LIMIT ?";
constexpr char kModelUsers[] =
    "SELECT 1 FROM jobs WHERE state IN (1, 2, 3) AND tenant = ? AND model = ? LIMIT 1";
constexpr char kPending[] =
    "SELECT key, method, model, samplers, base_digest, create_time FROM jobs"
    " WHERE state = 1 AND not_before <= ? ORDER BY key";
constexpr char kBaseModels[] = "SELECT model FROM base_models ORDER BY name";
constexpr char kCounts[] = "SELECT state, method, COUNT(*) FROM jobs GROUP BY state, method";

constexpr size_t kMaxPageBytes = 2 << 20;
constexpr size_t kMaxEventBytes = 1 << 20;
constexpr size_t kMaxRunnable = 16;  // among so many the choice is made

template <typename Message>
Message Parsed(absl::string_view bytes) {
  Message message;
  message.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()));
  return message;
}

absl::StatusOr<int> QueuePosition(Database& database, int64_t key) {
  Query query = database.Prepare(kPosition);
  RETURN_IF_ERROR(query.Bind(key).Run());
  return static_cast<int>(query.Integer(0));
}

// Places in the queue, for many jobs: it is read once, when the first of them asks.
class QueuePositions {
 public:
  explicit QueuePositions(Database& database) : database_(database) {}

  absl::StatusOr<int> Of(int64_t key) {
    if (!read_) RETURN_IF_ERROR(Read());
    const auto place = places_.find(key);
    return place == places_.end() ? static_cast<int>(places_.size()) : place->second;
  }

 private:
  absl::Status Read() {
    Query query = database_.Prepare(kQueue);
    for (int place = 0;; ++place) {
      ASSIGN_OR_RETURN(bool found, query.Step());
      if (!found) break;
      places_[query.Integer(0)] = place;
    }
    read_ = true;
    return absl::OkStatus();
  }

  Database& database_;
  bool read_ = false;
  absl::flat_hash_map<int64_t, int> places_;
};

// Rows of job, key, state, and what they are ordered by.
Query PageOf(Database& database, const std::string& tenant, const JobQuery& query) {
  const bool by_end = query.order.field == JobOrder::Field::kEndTime;
  const char* column = by_end ? "end_time" : "key";  // keys grow with the time of creation
  const char* direction = query.order.descending ? "DESC" : "ASC";
  const SqlCondition filter = ToSql(query.filter);
  std::string sql = absl::StrCat("SELECT job, key, state, ", column,
                                 " FROM jobs WHERE tenant = ? AND ", filter.sql);
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

Candidate CandidateOf(const Query& row) {
  Candidate candidate;
  candidate.key = row.Integer(0);
  candidate.method = row.String(1);
  candidate.model = row.String(2);
  if (absl::StartsWith(candidate.model, "models/")) candidate.base_model = candidate.model;
  candidate.samplers = absl::StrSplit(row.Bytes(3), ',', absl::SkipEmpty());
  candidate.base_model_digest = row.String(4);
  candidate.create_time = row.Time(5);
  return candidate;
}

}  // namespace

absl::StatusOr<JobSnapshot> ReadSnapshot(Database& database, const JobName& name) {
  Query query = database.Prepare(kSnapshot);
  ASSIGN_OR_RETURN(bool found, query.Bind(name.tenant).Bind(name.id).Step());
  if (!found) return JobNotFound(name);
  JobSnapshot snapshot{Parsed<v1::Job>(query.Bytes(0)), query.Integer(1)};
  if (query.Integer(3) == v1::JOB_STATE_PENDING) {
    ASSIGN_OR_RETURN(int position, QueuePosition(database, query.Integer(2)));
    snapshot.job.set_queue_position(position);
  }
  return snapshot;
}

absl::StatusOr<JobPage> ReadPage(Database& database, const std::string& tenant,
                                 const JobQuery& query) {
  Query rows = PageOf(database, tenant, query);
  QueuePositions positions(database);
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
    last = {.value = rows.Integer(3), .key = rows.Integer(1)};
    bytes += rows.Bytes(0).size();
    v1::Job& job = page.jobs.emplace_back(Parsed<v1::Job>(rows.Bytes(0)));
    if (rows.Integer(2) != v1::JOB_STATE_PENDING) continue;
    ASSIGN_OR_RETURN(int position, positions.Of(last.key));
    job.set_queue_position(position);
  }
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

absl::StatusOr<v1::Model> ReadModel(Database& database, const ModelName& model) {
  Query query = database.Prepare(kModel);
  ASSIGN_OR_RETURN(bool found, query.Bind(model.tenant).Bind(model.id).Step());
  if (!found) {
    return RpcError(absl::StatusCode::kNotFound, "MODEL_NOT_FOUND",
                    absl::StrCat("there is no model ", model.ToString()));
  }
  if (query.IsNull(0)) {
    return RpcError(absl::StatusCode::kFailedPrecondition, "MODEL_NOT_READY",
                    absl::StrCat(model.ToString(), " is still being made"));
  }
  return Parsed<v1::Model>(query.Bytes(0));
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
  }
}

absl::StatusOr<bool> ModelInUse(Database& database, const ModelName& model) {
  Query query = database.Prepare(kModelUsers);
  return query.Bind(model.tenant).Bind(model.ToString()).Step();
}

absl::StatusOr<std::optional<int64_t>> ChoosePending(Database& database,
                                                     const v1::AcquireLeaseRequest& offer,
                                                     absl::Time now) {
  Query query = database.Prepare(kPending);
  query.Bind(now);
  std::vector<Candidate> runnable;
  while (runnable.size() < kMaxRunnable) {
    ASSIGN_OR_RETURN(bool found, query.Step());
    if (!found) break;
    Candidate candidate = CandidateOf(query);
    if (CanRun(candidate, offer)) runnable.push_back(std::move(candidate));
    if (offer.resident_models().empty() && !runnable.empty()) break;  // there is nothing to prefer
  }
  const auto chosen = ChooseJob(runnable, offer, now);
  if (!chosen) return std::nullopt;
  return runnable[*chosen].key;
}

absl::StatusOr<std::vector<v1::BaseModel>> ReadBaseModels(Database& database) {
  Query query = database.Prepare(kBaseModels);
  std::vector<v1::BaseModel> models;
  for (;;) {
    ASSIGN_OR_RETURN(bool found, query.Step());
    if (!found) return models;
    models.push_back(Parsed<v1::BaseModel>(query.Bytes(0)));
  }
}

absl::StatusOr<std::vector<JobCount>> ReadCounts(Database& database) {
  Query query = database.Prepare(kCounts);
  std::vector<JobCount> counts;
  for (;;) {
    ASSIGN_OR_RETURN(bool found, query.Step());
    if (!found) return counts;
    counts.push_back(
        {static_cast<v1::JobState>(query.Integer(0)), query.String(1), query.Integer(2)});
  }
}

}  // namespace likeness::server

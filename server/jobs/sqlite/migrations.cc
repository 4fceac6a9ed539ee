#include "server/jobs/sqlite/migrations.h"

#include <utility>
#include <vector>

#include "common/status_macros.h"
#include "likeness/v1/model.pb.h"
#include "server/jobs/job_record.h"
#include "server/jobs/proto_time.h"
#include "server/jobs/sqlite/checked_files.h"
#include "server/jobs/sqlite/old_records.h"

namespace likeness::server {
namespace {

// Models have rows of their own instead of hanging on the jobs that made them.
constexpr char kModelsAlone[] = R"sql(
ALTER TABLE models RENAME TO models_1;
CREATE TABLE models (
  tenant TEXT NOT NULL,
  id TEXT NOT NULL,
  job INTEGER NOT NULL,
  model BLOB,
  PRIMARY KEY (tenant, id)
) WITHOUT ROWID;
INSERT INTO models SELECT tenant, id, job, NULL FROM models_1;
DROP TABLE models_1;
CREATE INDEX models_by_job ON models (job);
CREATE INDEX requests_by_job ON requests (job);
)sql";
constexpr char kFinishedModels[] =
    "SELECT models.job, jobs.job FROM models JOIN jobs ON jobs.key = models.job"
    " WHERE jobs.state = 4";
constexpr char kSetModel[] = "UPDATE models SET model = ? WHERE job = ?";

absl::Status From1To2(Database& database) {
  RETURN_IF_ERROR(database.Execute(kModelsAlone));
  std::vector<std::pair<int64_t, std::string>> made;
  {
    Query query = database.Prepare(kFinishedModels);
    for (;;) {
      ASSIGN_OR_RETURN(bool found, query.Step());
      if (!found) break;
      v1::Job job;
      job.ParseFromString(query.String(1));
      made.emplace_back(query.Integer(0), ModelMadeBy(job).SerializeAsString());
    }
  }
  for (const auto& [job, model] : made) {
    RETURN_IF_ERROR(database.Prepare(kSetModel).BindBlob(model).Bind(job).Run());
  }
  return database.Execute("PRAGMA user_version = 2");
}

// Labels and ends of jobs where lists can look for them.
constexpr char kListable[] = R"sql(
ALTER TABLE jobs ADD COLUMN end_time INTEGER NOT NULL DEFAULT 9223372036854775807;
CREATE INDEX jobs_by_end ON jobs (tenant, end_time);
CREATE TABLE labels (
  job INTEGER NOT NULL REFERENCES jobs (key),
  key TEXT NOT NULL,
  value TEXT NOT NULL,
  PRIMARY KEY (job, key)
) WITHOUT ROWID;
)sql";
constexpr char kKeys[] = "SELECT key FROM jobs";
constexpr char kJob[] = "SELECT job FROM jobs WHERE key = ?";
constexpr char kSetEnd[] = "UPDATE jobs SET end_time = ? WHERE key = ?";
constexpr char kSetLabel[] = "INSERT INTO labels (job, key, value) VALUES (?, ?, ?)";

absl::Status From2To3(Database& database) {
  RETURN_IF_ERROR(database.Execute(kListable));
  std::vector<int64_t> keys;
  {
    Query query = database.Prepare(kKeys);
    for (;;) {
      ASSIGN_OR_RETURN(bool found, query.Step());
      if (!found) break;
      keys.push_back(query.Integer(0));
    }
  }
  for (const int64_t key : keys) {
    v1::Job job;
    {
      Query query = database.Prepare(kJob);
      RETURN_IF_ERROR(query.Bind(key).Run());
      job.ParseFromString(query.String(0));
    }
    if (job.has_end_time()) {
      RETURN_IF_ERROR(database.Prepare(kSetEnd).Bind(FromProto(job.end_time())).Bind(key).Run());
    }
    for (const auto& [label, value] : job.labels()) {
      RETURN_IF_ERROR(database.Prepare(kSetLabel).Bind(key).Bind(label).Bind(value).Run());
    }
  }
  return database.Execute("PRAGMA user_version = 3");
}

// Priorities, what jobs require of workers, limits of time, shares of tenants, retention.
constexpr char kQueuePolicies[] = R"sql(
ALTER TABLE jobs ADD COLUMN priority INTEGER NOT NULL DEFAULT 3;
ALTER TABLE jobs ADD COLUMN requirements TEXT NOT NULL DEFAULT '';
ALTER TABLE jobs ADD COLUMN queue_time INTEGER NOT NULL DEFAULT 0;
ALTER TABLE jobs ADD COLUMN deadline INTEGER NOT NULL DEFAULT 9223372036854775807;
ALTER TABLE jobs ADD COLUMN attempt_time INTEGER NOT NULL DEFAULT 0;
ALTER TABLE jobs ADD COLUMN run_time INTEGER NOT NULL DEFAULT 0;
ALTER TABLE jobs ADD COLUMN compacted_seq INTEGER NOT NULL DEFAULT 0;
ALTER TABLE jobs ADD COLUMN base_model TEXT NOT NULL DEFAULT '';
UPDATE jobs SET queue_time = create_time, attempt_time = create_time,
  base_model = iif(substr(model, 1, 7) = 'models/', model, '') WHERE state IN (1, 2, 3);
DROP INDEX jobs_pending;
CREATE INDEX jobs_queue ON jobs (method, base_model, samplers, base_digest, requirements,
  tenant, priority, queue_time, not_before, state) WHERE state = 1;
CREATE INDEX jobs_queue_by_model ON jobs (model, method, base_model, samplers, base_digest,
  requirements, tenant, priority, queue_time, not_before, state) WHERE state = 1;
CREATE INDEX jobs_running ON jobs (tenant, method, attempt_time, state) WHERE state IN (2, 3);
CREATE INDEX jobs_by_deadline ON jobs (deadline, state)
  WHERE state IN (1, 2, 3) AND deadline < 9223372036854775807;
CREATE INDEX jobs_ended ON jobs (end_time, state) WHERE state IN (4, 5, 6);
CREATE INDEX jobs_to_compact ON jobs (end_time, compacted_seq, last_seq, state)
  WHERE state IN (4, 5, 6) AND compacted_seq < last_seq - 1;
CREATE TABLE shares (tenant TEXT PRIMARY KEY, served INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE durations (
  method TEXT PRIMARY KEY,
  mean INTEGER NOT NULL,
  runs INTEGER NOT NULL
) WITHOUT ROWID;
INSERT INTO meta VALUES ('virtual_time', 0);
PRAGMA user_version = 4;
)sql";

// Quotas of tenants: what waits and runs, and what they have had.
constexpr char kQuotas[] = R"sql(
CREATE INDEX jobs_waiting ON jobs (tenant, state) WHERE state = 1;
CREATE TABLE usage (
  tenant TEXT NOT NULL,
  day INTEGER NOT NULL,
  worker_time INTEGER NOT NULL,
  PRIMARY KEY (tenant, day)
) WITHOUT ROWID;
PRAGMA user_version = 5;
)sql";

// Lists in the order of creation, and of one state, without sorting or reading all jobs.
constexpr char kByCreation[] = R"sql(
CREATE INDEX jobs_by_creation ON jobs (tenant, key, state);
PRAGMA user_version = 6;
)sql";

// Calls to webhooks wait in the database.
constexpr char kWebhookCalls[] = R"sql(
CREATE TABLE webhook_calls (
  key INTEGER PRIMARY KEY,
  job TEXT NOT NULL,
  progress INTEGER NOT NULL,
  receiver TEXT NOT NULL,
  seq INTEGER NOT NULL,
  create_time INTEGER NOT NULL,
  due INTEGER NOT NULL,
  attempts INTEGER NOT NULL,
  call BLOB NOT NULL
);
CREATE INDEX webhook_calls_due ON webhook_calls (due);
CREATE UNIQUE INDEX webhook_calls_progress ON webhook_calls (job) WHERE progress = 1;
PRAGMA user_version = 7;
)sql";

// Indexes that cost a list of states on every write.
constexpr char kByComparison[] = R"sql(
DROP INDEX jobs_by_deadline;
DROP INDEX jobs_ended;
DROP INDEX jobs_to_compact;
CREATE INDEX jobs_by_deadline ON jobs (deadline, state)
  WHERE state <= 3 AND deadline < 9223372036854775807;
CREATE INDEX jobs_ended ON jobs (end_time, state) WHERE state >= 4;
CREATE INDEX jobs_to_compact ON jobs (end_time, compacted_seq, last_seq, state)
  WHERE state >= 4 AND compacted_seq < last_seq - 1;
PRAGMA user_version = 8;
)sql";

// Lists of the jobs in one state, of which there may be few among many.
constexpr char kOfState[] = R"sql(
DROP INDEX jobs_waiting;
CREATE INDEX jobs_of_state ON jobs (tenant, state);
PRAGMA user_version = 9;
)sql";

// Keys are not used again, which takes new tables; transactions are numbered; what lasts is kept on
// a clock of its own; progress has rows of its own; offers run out; what ended is counted.
constexpr char kNewKeys[] = R"sql(
CREATE TABLE jobs_10 (
  key INTEGER PRIMARY KEY AUTOINCREMENT,
  tenant TEXT NOT NULL,
  id TEXT NOT NULL,
  state INTEGER NOT NULL,
  method TEXT NOT NULL,
  model TEXT NOT NULL,
  samplers TEXT NOT NULL,
  base_digest TEXT NOT NULL,
  create_time INTEGER NOT NULL,
  not_before INTEGER NOT NULL,
  lease_token TEXT NOT NULL,
  lease_expire INTEGER NOT NULL,
  worker TEXT NOT NULL,
  failures INTEGER NOT NULL,
  last_seq INTEGER NOT NULL,
  version INTEGER NOT NULL,
  checkpoint BLOB,
  job BLOB NOT NULL,
  end_time INTEGER NOT NULL DEFAULT 9223372036854775807,
  priority INTEGER NOT NULL DEFAULT 3,
  base_model TEXT NOT NULL DEFAULT '',
  requirements TEXT NOT NULL DEFAULT '',
  queue_time INTEGER NOT NULL DEFAULT 0,
  deadline INTEGER NOT NULL DEFAULT 9223372036854775807,
  attempt_time INTEGER NOT NULL DEFAULT 0,
  run_time INTEGER NOT NULL DEFAULT 0,
  compacted_seq INTEGER NOT NULL DEFAULT 0,
  schedule_time INTEGER NOT NULL DEFAULT 0,
  last_event_time INTEGER NOT NULL DEFAULT 0,
  heard INTEGER NOT NULL DEFAULT 1,
  last_news TEXT NOT NULL DEFAULT '',
  ended_token TEXT NOT NULL DEFAULT '',
  ended_by INTEGER NOT NULL DEFAULT 0,
  UNIQUE (tenant, id)
);
INSERT INTO meta SELECT 'steady_time', MAX(
  IFNULL((SELECT MAX(create_time) FROM jobs), 0), IFNULL((SELECT MAX(attempt_time) FROM jobs), 0),
  IFNULL((SELECT value FROM meta WHERE name = 'last_check'), 0));
INSERT INTO jobs_10 SELECT key, tenant, id, state, method, model, samplers, base_digest,
  create_time, not_before, lease_token, lease_expire, worker, failures, last_seq, version,
  checkpoint, job, end_time, priority, base_model, requirements, queue_time, deadline,
  attempt_time, run_time, compacted_seq, iif(state = 1 AND failures = 0 AND not_before >
  (SELECT value FROM meta WHERE name = 'steady_time'), not_before, 0), create_time, 1, '', '', 0
  FROM jobs ORDER BY key;
DROP TABLE jobs;
ALTER TABLE jobs_10 RENAME TO jobs;
CREATE INDEX jobs_queue ON jobs (method, base_model, samplers, base_digest, requirements,
  tenant, priority, queue_time, not_before, state) WHERE state = 1;
CREATE INDEX jobs_queue_by_model ON jobs (model, method, base_model, samplers, base_digest,
  requirements, tenant, priority, queue_time, not_before, state) WHERE state = 1;
CREATE INDEX jobs_running ON jobs (tenant, method, attempt_time, state) WHERE state IN (2, 3);
CREATE INDEX jobs_by_deadline ON jobs (deadline, state)
  WHERE state <= 3 AND deadline < 9223372036854775807;
CREATE INDEX jobs_ended ON jobs (end_time, state) WHERE state >= 4;
CREATE INDEX jobs_to_compact ON jobs (end_time, compacted_seq, last_seq, state)
  WHERE state >= 4 AND compacted_seq < last_seq - 1;
CREATE INDEX jobs_leased ON jobs (lease_expire) WHERE state IN (2, 3);
CREATE INDEX jobs_by_state ON jobs (state, method);
CREATE INDEX jobs_unheard ON jobs (worker) WHERE state = 2 AND heard = 0;
CREATE INDEX jobs_by_end ON jobs (tenant, end_time);
CREATE INDEX jobs_by_creation ON jobs (tenant, key, state);
CREATE INDEX jobs_of_state ON jobs (tenant, state);

CREATE TABLE webhook_calls_10 (
  key INTEGER PRIMARY KEY AUTOINCREMENT,
  tenant TEXT NOT NULL,
  job TEXT NOT NULL,
  progress INTEGER NOT NULL,
  receiver TEXT NOT NULL,
  seq INTEGER NOT NULL,
  create_time INTEGER NOT NULL,
  due INTEGER NOT NULL,
  attempts INTEGER NOT NULL,
  call BLOB NOT NULL
);
INSERT INTO webhook_calls_10 SELECT key, '', job, progress, receiver, seq, create_time, due, attempts,
  call FROM webhook_calls ORDER BY key;
DROP TABLE webhook_calls;
ALTER TABLE webhook_calls_10 RENAME TO webhook_calls;
CREATE INDEX webhook_calls_due ON webhook_calls (due);
CREATE UNIQUE INDEX webhook_calls_progress ON webhook_calls (job) WHERE progress = 1;
CREATE INDEX webhook_calls_of_tenant ON webhook_calls (tenant, progress);

CREATE TABLE kept (tenant TEXT PRIMARY KEY, jobs INTEGER NOT NULL, bytes INTEGER NOT NULL)
  WITHOUT ROWID;
INSERT INTO kept SELECT tenant, COUNT(*), SUM(LENGTH(job)) FROM jobs WHERE state >= 4
  GROUP BY tenant;
CREATE TABLE reports (
  owner INTEGER PRIMARY KEY REFERENCES jobs (key),
  expire INTEGER NOT NULL,
  seq INTEGER NOT NULL,
  time INTEGER NOT NULL,
  progress BLOB NOT NULL
);
ALTER TABLE events ADD COLUMN commit_number INTEGER NOT NULL DEFAULT 0;
CREATE TABLE audit (key INTEGER PRIMARY KEY, line TEXT NOT NULL);
INSERT INTO meta VALUES ('last_commit', 0);
ALTER TABLE base_models RENAME TO base_models_9;
CREATE TABLE base_models (
  name TEXT NOT NULL,
  digest TEXT NOT NULL,
  offered INTEGER NOT NULL,
  model BLOB NOT NULL,
  PRIMARY KEY (name, digest)
) WITHOUT ROWID;
)sql";
constexpr char kOldOffers[] = "SELECT name, model FROM base_models_9";
constexpr char kNewOffer[] =
    "INSERT INTO base_models SELECT ?, ?, value, ? FROM meta WHERE name = 'steady_time'";

absl::Status From9To10(Database& database) {
  RETURN_IF_ERROR(database.Execute(kNewKeys));
  std::vector<v1::BaseModel> models;
  {
    Query query = database.Prepare(kOldOffers);
    for (;;) {
      ASSIGN_OR_RETURN(bool found, query.Step());
      if (!found) break;
      models.emplace_back().ParseFromString(query.String(1));
      models.back().set_name(query.String(0));
    }
  }
  for (const v1::BaseModel& model : models) {
    Query query = database.Prepare(kNewOffer);
    query.Bind(model.name()).Bind(model.digest()).BindBlob(model.SerializeAsString());
    RETURN_IF_ERROR(query.Run());
  }
  return database.Execute("DROP TABLE base_models_9; PRAGMA user_version = 10");
}

// The contract of version 1.0: workers repeat requests under ids and number their heartbeats, jobs
// have stall timeouts of their own, and records are of new messages (old_records.h).
constexpr char kContract1[] = R"sql(
DROP INDEX jobs_unheard;
ALTER TABLE jobs DROP COLUMN last_news;
ALTER TABLE jobs ADD COLUMN last_sequence INTEGER NOT NULL DEFAULT 0;
ALTER TABLE jobs ADD COLUMN acquire_request TEXT NOT NULL DEFAULT '';
ALTER TABLE jobs ADD COLUMN stall_timeout INTEGER NOT NULL DEFAULT 0;
CREATE INDEX jobs_unheard ON jobs (acquire_request) WHERE state = 2 AND heard = 0;
UPDATE jobs SET model = 'baseModels/' || substr(model, 8) WHERE substr(model, 1, 7) = 'models/';
UPDATE jobs SET base_model = 'baseModels/' || substr(base_model, 8)
  WHERE substr(base_model, 1, 7) = 'models/';
UPDATE base_models SET name = 'baseModels/' || substr(name, 8) WHERE substr(name, 1, 7) = 'models/';
)sql";
constexpr char kRecount[] = R"sql(
DELETE FROM kept;
INSERT INTO kept SELECT tenant, COUNT(*), SUM(LENGTH(job)) FROM jobs WHERE state >= 4
  GROUP BY tenant;
PRAGMA user_version = 11;
)sql";

absl::Status From10To11(Database& database) {
  RETURN_IF_ERROR(database.Execute(kContract1));
  RETURN_IF_ERROR(RenewRecords(database));
  return database.Execute(kRecount);
}

// What estimates are made from, what operators say and ask, and what workers are to erase.
constexpr char kOperations[] = R"sql(
CREATE TABLE rates (
  digest TEXT NOT NULL,
  method TEXT NOT NULL,
  device TEXT NOT NULL,
  phase INTEGER NOT NULL,
  variant TEXT NOT NULL,
  pixels INTEGER NOT NULL,
  measured INTEGER NOT NULL,
  rates TEXT NOT NULL,
  PRIMARY KEY (digest, method, device, phase, variant, pixels)
) WITHOUT ROWID;
CREATE INDEX rates_by_time ON rates (measured);
CREATE TABLE drained (
  worker TEXT PRIMARY KEY,
  release_job INTEGER NOT NULL,
  time INTEGER NOT NULL
) WITHOUT ROWID;
CREATE TABLE erased (
  key INTEGER PRIMARY KEY AUTOINCREMENT,
  time INTEGER NOT NULL,
  model BLOB NOT NULL
);
CREATE TABLE to_erase (blob TEXT PRIMARY KEY, time INTEGER NOT NULL) WITHOUT ROWID;
ALTER TABLE usage ADD COLUMN ended_jobs INTEGER NOT NULL DEFAULT 0;
PRAGMA user_version = 12;
)sql";

// Checkpoints that later ones replaced are erased with their job.
constexpr char kReplaced[] = R"sql(
CREATE TABLE replaced (
  blob TEXT PRIMARY KEY,
  job INTEGER NOT NULL,
  time INTEGER NOT NULL
) WITHOUT ROWID;
CREATE INDEX replaced_by_job ON replaced (job);
PRAGMA user_version = 13;
)sql";

absl::Status RunMigrations(Database& database, int64_t version) {
  if (version < 2) RETURN_IF_ERROR(From1To2(database));
  if (version < 3) RETURN_IF_ERROR(From2To3(database));
  if (version < 4) RETURN_IF_ERROR(database.Execute(kQueuePolicies));
  if (version < 5) RETURN_IF_ERROR(database.Execute(kQuotas));
  if (version < 6) RETURN_IF_ERROR(database.Execute(kByCreation));
  if (version < 7) RETURN_IF_ERROR(database.Execute(kWebhookCalls));
  if (version < 8) RETURN_IF_ERROR(database.Execute(kByComparison));
  if (version < 9) RETURN_IF_ERROR(database.Execute(kOfState));
  if (version < 10) RETURN_IF_ERROR(From9To10(database));
  if (version < 11) RETURN_IF_ERROR(From10To11(database));
  if (version < 12) RETURN_IF_ERROR(database.Execute(kOperations));
  if (version < 13) RETURN_IF_ERROR(database.Execute(kReplaced));
  return absl::OkStatus();
}

}  // namespace

// All or nothing. A table that others refer to can be made anew only while references are not
// enforced, which cannot be changed within a transaction.
absl::Status Migrate(Database& database, int64_t version) {
  const UncheckedLogs unchecked;  // it may be larger than SQLite's cache, and is let spill
  RETURN_IF_ERROR(
      database.Execute("PRAGMA cache_spill = ON; PRAGMA foreign_keys = OFF; BEGIN IMMEDIATE"));
  if (auto status = RunMigrations(database, version); !status.ok()) {
    (void)database.Execute("ROLLBACK");
    return status;
  }
  return database.Execute("COMMIT; PRAGMA foreign_keys = ON; PRAGMA cache_spill = OFF");
}

}  // namespace likeness::server

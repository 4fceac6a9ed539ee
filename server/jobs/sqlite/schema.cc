#include "server/jobs/sqlite/schema.h"

#include "absl/strings/str_cat.h"
#include "common/rpc_error.h"
#include "common/status_macros.h"
#include "server/jobs/sqlite/migrations.h"

namespace likeness::server {
namespace {

constexpr int64_t kVersion = 13;

// Times are microseconds since 1970: of events, creation and end by date, all others on the queue's
// clock (store_clock.h). `job` is a serialized likeness.v1.Job; the columns before it
// repeat what queries and fences look at; `model` has adapters too, with commas between. Numbers of
// states are those of likeness.v1.JobState: 1 pending, 2 running, 3 cancelling; from 4 on the job
// has ended. An index says so by comparison: for a list of three states SQLite would build a table
// each time it writes a job. AUTOINCREMENT: a key that somebody may still hold, as a cursor or in a
// token, never becomes another row's.
constexpr char kCreate[] = R"sql(
BEGIN IMMEDIATE;
CREATE TABLE jobs (
  key INTEGER PRIMARY KEY AUTOINCREMENT,
  tenant TEXT NOT NULL,
  id TEXT NOT NULL,
  state INTEGER NOT NULL,
  method TEXT NOT NULL,
  model TEXT NOT NULL,
  samplers TEXT NOT NULL,      -- comma between
  base_digest TEXT NOT NULL,   -- '' unless a checkpoint binds the job to it
  create_time INTEGER NOT NULL,
  not_before INTEGER NOT NULL,
  lease_token TEXT NOT NULL,
  lease_expire INTEGER NOT NULL,
  worker TEXT NOT NULL,
  failures INTEGER NOT NULL,
  last_seq INTEGER NOT NULL,
  version INTEGER NOT NULL,    -- changes with every write
  checkpoint BLOB,             -- likeness.v1.Checkpoint
  job BLOB NOT NULL,
  end_time INTEGER NOT NULL DEFAULT 9223372036854775807,  -- which it is until the job ends
  priority INTEGER NOT NULL DEFAULT 3,
  base_model TEXT NOT NULL DEFAULT '',             -- '' for a personalized model
  requirements TEXT NOT NULL DEFAULT '',           -- see requirements_text.h
  queue_time INTEGER NOT NULL DEFAULT 0,
  deadline INTEGER NOT NULL DEFAULT 9223372036854775807,  -- which it is where there is none
  attempt_time INTEGER NOT NULL DEFAULT 0,
  run_time INTEGER NOT NULL DEFAULT 0,             -- microseconds
  compacted_seq INTEGER NOT NULL DEFAULT 0,        -- of the events up to this one some are gone
  schedule_time INTEGER NOT NULL DEFAULT 0,        -- by date; 0 for none
  last_event_time INTEGER NOT NULL DEFAULT 0,      -- by date
  heard INTEGER NOT NULL DEFAULT 1,                -- the lease's worker has said something
  last_sequence INTEGER NOT NULL DEFAULT 0,        -- of the lease's heartbeats, see transitions.h
  ended_token TEXT NOT NULL DEFAULT '',            -- of the last lease that its worker gave up
  ended_by INTEGER NOT NULL DEFAULT 0,             -- how: server::LeaseEnd
  acquire_request TEXT NOT NULL DEFAULT '',        -- what the lease was asked for with, if that is repeatable
  stall_timeout INTEGER NOT NULL DEFAULT 0,        -- microseconds; 0 for the server's
  UNIQUE (tenant, id)
);
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
CREATE INDEX jobs_unheard ON jobs (acquire_request) WHERE state = 2 AND heard = 0;

CREATE INDEX jobs_by_end ON jobs (tenant, end_time);
CREATE INDEX jobs_by_creation ON jobs (tenant, key, state);
CREATE INDEX jobs_of_state ON jobs (tenant, state);  -- and by creation, as any index ends with key

CREATE TABLE labels (
  job INTEGER NOT NULL REFERENCES jobs (key),
  key TEXT NOT NULL,
  value TEXT NOT NULL,
  PRIMARY KEY (job, key)
) WITHOUT ROWID;

CREATE TABLE usage (           -- what tenants have had of the workers
  tenant TEXT NOT NULL,
  day INTEGER NOT NULL,        -- since 1970, of UTC
  worker_time INTEGER NOT NULL,  -- microseconds
  ended_jobs INTEGER NOT NULL DEFAULT 0,
  PRIMARY KEY (tenant, day)
) WITHOUT ROWID;

CREATE TABLE events (
  job INTEGER NOT NULL REFERENCES jobs (key),
  seq INTEGER NOT NULL,
  event BLOB NOT NULL,         -- likeness.v1.JobEvent without resume_token
  commit_number INTEGER NOT NULL DEFAULT 0,  -- see writer.h; 0 before version 10
  PRIMARY KEY (job, seq)
) WITHOUT ROWID;

CREATE TABLE reports (         -- of progress, since the job's own row was last written
  owner INTEGER PRIMARY KEY REFERENCES jobs (key),
  expire INTEGER NOT NULL,     -- of the lease, in place of lease_expire
  seq INTEGER NOT NULL,        -- of the last event, in place of last_seq
  time INTEGER NOT NULL,       -- of it, by date
  progress BLOB NOT NULL       -- likeness.v1.Progress
);

CREATE TABLE requests (
  tenant TEXT NOT NULL,
  request_id TEXT NOT NULL,
  fingerprint TEXT NOT NULL,
  job INTEGER NOT NULL REFERENCES jobs (key),
  PRIMARY KEY (tenant, request_id)
) WITHOUT ROWID;
CREATE INDEX requests_by_job ON requests (job);

CREATE TABLE models (          -- a row from the creation of the job that makes it; gone if the job fails
  tenant TEXT NOT NULL,
  id TEXT NOT NULL,
  job INTEGER NOT NULL,        -- that job's key; 0 once it is deleted
  model BLOB,                  -- likeness.v1.Model; NULL until it is made
  PRIMARY KEY (tenant, id)
) WITHOUT ROWID;
CREATE INDEX models_by_job ON models (job);

CREATE TABLE webhook_calls (   -- to be made; gone once answered or given up, though the job be deleted before
  key INTEGER PRIMARY KEY AUTOINCREMENT,
  tenant TEXT NOT NULL,        -- '' for one of before version 10
  job TEXT NOT NULL,           -- its uid
  progress INTEGER NOT NULL,   -- 1: about progress, replaced by the job's next one
  receiver TEXT NOT NULL,      -- scheme, host and port
  seq INTEGER NOT NULL,        -- of the event
  create_time INTEGER NOT NULL,
  due INTEGER NOT NULL,
  attempts INTEGER NOT NULL,   -- made so far
  call BLOB NOT NULL           -- likeness.v1.WebhookCall
);
CREATE INDEX webhook_calls_due ON webhook_calls (due);
CREATE UNIQUE INDEX webhook_calls_progress ON webhook_calls (job) WHERE progress = 1;
CREATE INDEX webhook_calls_of_tenant ON webhook_calls (tenant, progress);

CREATE TABLE base_models (
  name TEXT NOT NULL,
  digest TEXT NOT NULL,
  offered INTEGER NOT NULL,    -- when last, within a minute
  model BLOB NOT NULL,         -- likeness.v1.BaseModel
  PRIMARY KEY (name, digest)
) WITHOUT ROWID;

CREATE TABLE kept (            -- what jobs that have ended take
  tenant TEXT PRIMARY KEY,
  jobs INTEGER NOT NULL,
  bytes INTEGER NOT NULL       -- of the column `job`
) WITHOUT ROWID;

CREATE TABLE shares (          -- what tenants have had of the workers, ahead of what all have had
  tenant TEXT PRIMARY KEY,
  served INTEGER NOT NULL      -- virtual time, in microseconds
) WITHOUT ROWID;

CREATE TABLE durations (       -- how long jobs that succeeded took of late
  method TEXT PRIMARY KEY,
  mean INTEGER NOT NULL,       -- microseconds
  runs INTEGER NOT NULL
) WITHOUT ROWID;

CREATE TABLE rates (           -- how long work took of late, see rate_table.h
  digest TEXT NOT NULL,        -- of the base model
  method TEXT NOT NULL,
  device TEXT NOT NULL,
  phase INTEGER NOT NULL,      -- likeness.v1.JobPhase; -1: class pictures that lie there
  variant TEXT NOT NULL,
  pixels INTEGER NOT NULL,     -- of class pictures their number
  measured INTEGER NOT NULL,   -- when last, by date
  rates TEXT NOT NULL,         -- as policies/work.h writes them
  PRIMARY KEY (digest, method, device, phase, variant, pixels)
) WITHOUT ROWID;
CREATE INDEX rates_by_time ON rates (measured);

CREATE TABLE drained (         -- workers that get no jobs
  worker TEXT PRIMARY KEY,
  release_job INTEGER NOT NULL,  -- 1: they give back the one that they have
  time INTEGER NOT NULL        -- since when, by date
) WITHOUT ROWID;

CREATE TABLE erased (          -- models that workers are to erase
  key INTEGER PRIMARY KEY AUTOINCREMENT,
  time INTEGER NOT NULL,       -- when it was asked for, by date
  model BLOB NOT NULL          -- likeness.v1.LeasedModel
);

CREATE TABLE replaced (        -- checkpoints in the place of which jobs have later ones
  blob TEXT PRIMARY KEY,
  job INTEGER NOT NULL,        -- that had it
  time INTEGER NOT NULL        -- since when
) WITHOUT ROWID;
CREATE INDEX replaced_by_job ON replaced (job);

CREATE TABLE to_erase (        -- blobs that erased subjects named, until they are erased
  blob TEXT PRIMARY KEY,
  time INTEGER NOT NULL        -- when it was asked for, by date
) WITHOUT ROWID;

CREATE TABLE audit (           -- lines about changes, until the audit log has them
  key INTEGER PRIMARY KEY,
  line TEXT NOT NULL
);

CREATE TABLE meta (name TEXT PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID;
INSERT INTO meta VALUES ('signing_key', randomblob(32));
INSERT INTO meta VALUES ('virtual_time', 0);
INSERT INTO meta VALUES ('last_commit', 0);
INSERT INTO meta VALUES ('steady_time', 0);
PRAGMA user_version = 13;
COMMIT;
)sql";

absl::StatusOr<int64_t> VersionOf(Database& database) {
  Query query = database.Prepare("PRAGMA user_version");
  RETURN_IF_ERROR(query.Run());
  return query.Integer(0);
}

absl::Status TooNew(int64_t version) {
  return RpcError(absl::StatusCode::kFailedPrecondition, "STORE_TOO_NEW",
                  absl::StrCat("the job store is of version ", version,
                               "; this program knows version ", kVersion));
}

}  // namespace

absl::Status PrepareSchema(Database& database) {
  ASSIGN_OR_RETURN(const int64_t version, VersionOf(database));
  if (version == 0) return database.Execute(kCreate);
  if (version < kVersion) return Migrate(database, version);
  return version == kVersion ? absl::OkStatus() : TooNew(version);
}

absl::Status CheckSchema(Database& database) {
  ASSIGN_OR_RETURN(const int64_t version, VersionOf(database));
  if (version == kVersion) return absl::OkStatus();
  if (version > kVersion) return TooNew(version);
  return RpcError(absl::StatusCode::kFailedPrecondition, "STORE_TOO_OLD",
                  absl::StrCat("the job store is of version ", version, "; a server of version ",
                               kVersion, " brings it up to date"));
}

}  // namespace likeness::server

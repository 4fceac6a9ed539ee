// What earlier versions of this program created, to the letter: files like these are out there.
#pragma once

namespace likeness::server {

inline constexpr char kVersion1[] = R"sql(
BEGIN IMMEDIATE;
CREATE TABLE jobs (
  key INTEGER PRIMARY KEY,
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
  UNIQUE (tenant, id)
);
CREATE INDEX jobs_pending ON jobs (key) WHERE state = 1;
CREATE INDEX jobs_leased ON jobs (lease_expire) WHERE state IN (2, 3);
CREATE INDEX jobs_by_state ON jobs (state, method);

CREATE TABLE events (
  job INTEGER NOT NULL REFERENCES jobs (key),
  seq INTEGER NOT NULL,
  event BLOB NOT NULL,         -- likeness.v1.JobEvent without resume_token
  PRIMARY KEY (job, seq)
) WITHOUT ROWID;

CREATE TABLE requests (
  tenant TEXT NOT NULL,
  request_id TEXT NOT NULL,
  fingerprint TEXT NOT NULL,
  job INTEGER NOT NULL REFERENCES jobs (key),
  PRIMARY KEY (tenant, request_id)
) WITHOUT ROWID;

CREATE TABLE models (          -- a row from the creation of the job that makes it; gone if the job fails
  tenant TEXT NOT NULL,
  id TEXT NOT NULL,
  job INTEGER NOT NULL REFERENCES jobs (key),
  PRIMARY KEY (tenant, id)
) WITHOUT ROWID;

CREATE TABLE base_models (
  name TEXT PRIMARY KEY,
  model BLOB NOT NULL          -- likeness.v1.BaseModel
) WITHOUT ROWID;

CREATE TABLE meta (name TEXT PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID;
INSERT INTO meta VALUES ('signing_key', randomblob(32));
PRAGMA user_version = 1;
COMMIT;
)sql";

inline constexpr char kVersion2[] = R"sql(
BEGIN IMMEDIATE;
CREATE TABLE jobs (
  key INTEGER PRIMARY KEY,
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
  UNIQUE (tenant, id)
);
CREATE INDEX jobs_pending ON jobs (key) WHERE state = 1;
CREATE INDEX jobs_leased ON jobs (lease_expire) WHERE state IN (2, 3);
CREATE INDEX jobs_by_state ON jobs (state, method);

CREATE TABLE events (
  job INTEGER NOT NULL REFERENCES jobs (key),
  seq INTEGER NOT NULL,
  event BLOB NOT NULL,         -- likeness.v1.JobEvent without resume_token
  PRIMARY KEY (job, seq)
) WITHOUT ROWID;

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

CREATE TABLE base_models (
  name TEXT PRIMARY KEY,
  model BLOB NOT NULL          -- likeness.v1.BaseModel
) WITHOUT ROWID;

CREATE TABLE meta (name TEXT PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID;
INSERT INTO meta VALUES ('signing_key', randomblob(32));
PRAGMA user_version = 2;
COMMIT;
)sql";

inline constexpr char kVersion3[] = R"sql(
BEGIN IMMEDIATE;
CREATE TABLE jobs (
  key INTEGER PRIMARY KEY,
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
  UNIQUE (tenant, id)
);
CREATE INDEX jobs_pending ON jobs (key) WHERE state = 1;
CREATE INDEX jobs_leased ON jobs (lease_expire) WHERE state IN (2, 3);
CREATE INDEX jobs_by_state ON jobs (state, method);

CREATE INDEX jobs_by_end ON jobs (tenant, end_time);

CREATE TABLE labels (
  job INTEGER NOT NULL REFERENCES jobs (key),
  key TEXT NOT NULL,
  value TEXT NOT NULL,
  PRIMARY KEY (job, key)
) WITHOUT ROWID;

CREATE TABLE events (
  job INTEGER NOT NULL REFERENCES jobs (key),
  seq INTEGER NOT NULL,
  event BLOB NOT NULL,         -- likeness.v1.JobEvent without resume_token
  PRIMARY KEY (job, seq)
) WITHOUT ROWID;

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

CREATE TABLE base_models (
  name TEXT PRIMARY KEY,
  model BLOB NOT NULL          -- likeness.v1.BaseModel
) WITHOUT ROWID;

CREATE TABLE meta (name TEXT PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID;
INSERT INTO meta VALUES ('signing_key', randomblob(32));
PRAGMA user_version = 3;
COMMIT;
)sql";

inline constexpr char kVersion4[] = R"sql(
BEGIN IMMEDIATE;
CREATE TABLE jobs (
  key INTEGER PRIMARY KEY,
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
  UNIQUE (tenant, id)
);
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
CREATE INDEX jobs_leased ON jobs (lease_expire) WHERE state IN (2, 3);
CREATE INDEX jobs_by_state ON jobs (state, method);

CREATE INDEX jobs_by_end ON jobs (tenant, end_time);

CREATE TABLE labels (
  job INTEGER NOT NULL REFERENCES jobs (key),
  key TEXT NOT NULL,
  value TEXT NOT NULL,
  PRIMARY KEY (job, key)
) WITHOUT ROWID;

CREATE TABLE events (
  job INTEGER NOT NULL REFERENCES jobs (key),
  seq INTEGER NOT NULL,
  event BLOB NOT NULL,         -- likeness.v1.JobEvent without resume_token
  PRIMARY KEY (job, seq)
) WITHOUT ROWID;

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

CREATE TABLE base_models (
  name TEXT PRIMARY KEY,
  model BLOB NOT NULL          -- likeness.v1.BaseModel
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

CREATE TABLE meta (name TEXT PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID;
INSERT INTO meta VALUES ('signing_key', randomblob(32));
INSERT INTO meta VALUES ('virtual_time', 0);
PRAGMA user_version = 4;
COMMIT;
)sql";

inline constexpr char kVersion5[] = R"sql(
BEGIN IMMEDIATE;
CREATE TABLE jobs (
  key INTEGER PRIMARY KEY,
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
  UNIQUE (tenant, id)
);
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
CREATE INDEX jobs_leased ON jobs (lease_expire) WHERE state IN (2, 3);
CREATE INDEX jobs_by_state ON jobs (state, method);

CREATE INDEX jobs_by_end ON jobs (tenant, end_time);

CREATE INDEX jobs_waiting ON jobs (tenant, state) WHERE state = 1;

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
  PRIMARY KEY (tenant, day)
) WITHOUT ROWID;

CREATE TABLE events (
  job INTEGER NOT NULL REFERENCES jobs (key),
  seq INTEGER NOT NULL,
  event BLOB NOT NULL,         -- likeness.v1.JobEvent without resume_token
  PRIMARY KEY (job, seq)
) WITHOUT ROWID;

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

CREATE TABLE base_models (
  name TEXT PRIMARY KEY,
  model BLOB NOT NULL          -- likeness.v1.BaseModel
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

CREATE TABLE meta (name TEXT PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID;
INSERT INTO meta VALUES ('signing_key', randomblob(32));
INSERT INTO meta VALUES ('virtual_time', 0);
PRAGMA user_version = 5;
COMMIT;
)sql";

// Version 6 had one index more.
inline constexpr char kFrom5To6[] = R"sql(
CREATE INDEX jobs_by_creation ON jobs (tenant, key, state);
PRAGMA user_version = 6;
)sql";

// Version 7 had calls to webhooks.
inline constexpr char kFrom6To7[] = R"sql(
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

// Version 8 compared states in the conditions of its indexes.
inline constexpr char kFrom7To8[] = R"sql(
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

// Version 9 listed the jobs in each state.
inline constexpr char kFrom8To9[] = R"sql(
DROP INDEX jobs_waiting;
CREATE INDEX jobs_of_state ON jobs (tenant, state);
PRAGMA user_version = 9;
)sql";

}  // namespace likeness::server

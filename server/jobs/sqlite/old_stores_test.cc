// Stores as versions 1 and 3 left them, made from today's; those of later versions: schema_test.cc.
#include <memory>
#include <string>

#include "server/jobs/contract/job_store_contract.h"
#include "server/jobs/sqlite/sqlite_job_store.h"

namespace likeness::server {
namespace {

std::unique_ptr<JobStore> OpenOld(const std::string& folder, const Clock& clock) {
  SqliteJobStoreOptions options;
  options.path = folder + "/jobs.sqlite";
  options.lease.duration = kTestLease;
  options.retry.first_delay = kTestRetry;
  auto store = SqliteJobStore::Open(options, clock);
  EXPECT_TRUE(store.ok()) << store.status();
  return *std::move(store);
}

// The tables of version 3: the oldest job came first, and there were no limits of time.
constexpr char kBackToVersion3[] = R"sql(
DROP INDEX jobs_by_creation;
DROP INDEX jobs_of_state;
DROP TABLE usage;
DROP TABLE rates;
DROP TABLE drained;
DROP TABLE erased;
DROP TABLE to_erase;
DROP TABLE replaced;
DROP INDEX jobs_queue;
DROP INDEX jobs_queue_by_model;
DROP INDEX jobs_running;
DROP INDEX jobs_by_deadline;
DROP INDEX jobs_ended;
DROP INDEX jobs_to_compact;
ALTER TABLE jobs DROP COLUMN base_model;
ALTER TABLE jobs DROP COLUMN priority;
ALTER TABLE jobs DROP COLUMN requirements;
ALTER TABLE jobs DROP COLUMN queue_time;
ALTER TABLE jobs DROP COLUMN deadline;
ALTER TABLE jobs DROP COLUMN attempt_time;
ALTER TABLE jobs DROP COLUMN run_time;
ALTER TABLE jobs DROP COLUMN compacted_seq;
ALTER TABLE events DROP COLUMN commit_number;
DROP TABLE audit;
DROP INDEX jobs_unheard;
ALTER TABLE jobs DROP COLUMN schedule_time;
ALTER TABLE jobs DROP COLUMN last_event_time;
ALTER TABLE jobs DROP COLUMN heard;
ALTER TABLE jobs DROP COLUMN last_sequence;
ALTER TABLE jobs DROP COLUMN acquire_request;
ALTER TABLE jobs DROP COLUMN stall_timeout;
UPDATE jobs SET model = 'models/' || substr(model, 12) WHERE substr(model, 1, 11) = 'baseModels/';
ALTER TABLE jobs DROP COLUMN ended_token;
ALTER TABLE jobs DROP COLUMN ended_by;
DROP TABLE reports;
DROP TABLE kept;
DROP TABLE base_models;
CREATE TABLE base_models (name TEXT PRIMARY KEY, model BLOB NOT NULL) WITHOUT ROWID;
DROP TABLE webhook_calls;
DROP TABLE shares;
DROP TABLE durations;
DELETE FROM meta WHERE name IN ('virtual_time', 'last_commit', 'steady_time');
CREATE INDEX jobs_pending ON jobs (key) WHERE state = 1;
PRAGMA user_version = 3;
)sql";

// The tables of version 1: a model hung on the job that made it, and nothing told of labels.
constexpr char kBackToVersion1[] = R"sql(
CREATE TABLE models_1 (
  tenant TEXT NOT NULL,
  id TEXT NOT NULL,
  job INTEGER NOT NULL REFERENCES jobs (key),
  PRIMARY KEY (tenant, id)
) WITHOUT ROWID;
INSERT INTO models_1 SELECT tenant, id, job FROM models;
DROP TABLE models;
DROP INDEX requests_by_job;
DROP INDEX jobs_by_end;
ALTER TABLE jobs DROP COLUMN end_time;
DROP TABLE labels;
ALTER TABLE models_1 RENAME TO models;
PRAGMA user_version = 1;
)sql";

TEST(OldStoresTest, FileOfVersion1IsBroughtUpToDate) {
  likeness::testing::TempFolder folder;
  FakeClock clock;
  {
    auto store = OpenOld(folder.path(), clock);
    for (const std::string id : {"made", "waiting"}) {
      NewJob job;
      job.job.set_name("tenants/default/jobs/" + id);
      job.job.mutable_fine_tune()->set_base_model("baseModels/mini");
      job.job.set_output_model("tenants/default/models/" + id);
      (*job.job.mutable_labels())["id"] = id;
      ASSERT_TRUE(store->Create(job).ok());
    }
    v1::AcquireLeaseRequest offer;
    offer.add_base_models()->set_name("baseModels/mini");
    offer.add_methods("dreambooth");
    v1::CompleteLeaseRequest outcome;
    outcome.set_lease_token((*store->Acquire(offer))->lease_token());
    outcome.add_outputs()->set_path("model/unet/config.json");
    outcome.mutable_outputs(0)->set_kind(v1::OUTPUT_KIND_MODEL_FILE);
    ASSERT_TRUE(store->Complete(outcome).ok());
  }
  {
    auto database = Database::Open(folder.path() + "/jobs.sqlite", Database::Mode::kWriter);
    ASSERT_TRUE((*database)->Execute(kBackToVersion3).ok());
    ASSERT_TRUE((*database)->Execute(kBackToVersion1).ok());
  }
  for (int start = 0; start < 2; ++start) {
    auto store = OpenOld(folder.path(), clock);
    const auto made = store->GetModel({"default", "made"});
    ASSERT_TRUE(made.ok()) << made.status();
    EXPECT_EQ(made->job(), "tenants/default/jobs/made");
    EXPECT_EQ(made->files(0).path(), "unet/config.json");
    EXPECT_EQ(ErrorReason(store->GetModel({"default", "waiting"}).status()), "MODEL_NOT_READY");
    JobQuery query;
    query.order = *ParseJobOrder("end_time");
    EXPECT_EQ(store->List("default", query)->jobs.at(0).name(), "tenants/default/jobs/made");
    query.filter = *ParseJobFilter("labels.id = waiting");
    EXPECT_EQ(store->List("default", query)->jobs.at(0).name(), "tenants/default/jobs/waiting");
  }
}

TEST(OldStoresTest, JobsOfVersion3GoOnUnderTheQueuesPolicies) {
  likeness::testing::TempFolder folder;
  FakeClock clock;
  v1::AcquireLeaseRequest offer;
  offer.add_base_models()->set_name("baseModels/mini");
  offer.add_methods("generate");
  std::string running;
  {
    auto store = OpenOld(folder.path(), clock);
    for (const std::string id : {"ended", "running", "first", "second"}) {
      NewJob job;
      job.job.set_name("tenants/default/jobs/" + id);
      job.job.set_max_attempts(3);
      job.job.mutable_generate()->mutable_model()->set_name("baseModels/mini");
      ASSERT_TRUE(store->Create(job).ok());
      clock.Advance(absl::Seconds(1));
    }
    v1::CompleteLeaseRequest outcome;
    outcome.set_lease_token((*store->Acquire(offer))->lease_token());
    ASSERT_TRUE(store->Complete(outcome).ok());
    running = (*store->Acquire(offer))->lease_token();
  }
  {
    auto database = Database::Open(folder.path() + "/jobs.sqlite", Database::Mode::kWriter);
    ASSERT_TRUE((*database)->Execute(kBackToVersion3).ok());
  }
  auto store = OpenOld(folder.path(), clock);
  NewJob young;
  young.job.set_name("tenants/default/jobs/young");
  young.job.mutable_generate()->mutable_model()->set_name("baseModels/mini");
  ASSERT_TRUE(store->Create(young).ok());
  EXPECT_EQ(store->Get({"default", "second"})->queue_position(), 1);
  for (const std::string id : {"first", "second", "young"}) {
    const auto lease = *store->Acquire(offer);
    ASSERT_TRUE(lease);
    EXPECT_EQ(lease->job().name(), "tenants/default/jobs/" + id);
  }
  v1::HeartbeatRequest news;
  news.set_lease_token(running);
  EXPECT_TRUE(store->Renew(news).ok()) << "its lease goes on";
  v1::ReleaseLeaseRequest release;
  release.set_lease_token(running);
  release.set_reason(v1::RELEASE_REASON_PREEMPTED);
  ASSERT_TRUE(store->Release(release).ok());
  EXPECT_EQ((*store->Acquire(offer))->job().name(), "tenants/default/jobs/running");
  EXPECT_EQ(*store->TimeOutJobs(), 0);
  const int64_t key = store->Snapshot({"default", "ended"})->key;
  EXPECT_EQ(store->EventsAfter({"default", "ended"}, key, 0, 10)->size(), 3u);
  clock.Advance(RetentionPolicy().jobs);
  EXPECT_EQ(store->Sweep()->jobs, 1);
}

}  // namespace
}  // namespace likeness::server

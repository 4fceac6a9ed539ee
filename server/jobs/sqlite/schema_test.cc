#include "server/jobs/sqlite/schema.h"

#include <map>
#include <set>

#include "absl/strings/str_cat.h"
#include "common/clock.h"
#include "common/rpc_error.h"
#include "gtest/gtest.h"
#include "server/jobs/proto_time.h"
#include "server/jobs/sqlite/old_schemas.h"
#include "server/jobs/sqlite/sqlite_job_store.h"
#include "server/jobs/sqlite/version_10_store.h"
#include "tests/support/test_server.h"

namespace likeness::server {
namespace {

const std::string kOldVersions[] = {
    kVersion1,
    kVersion2,
    kVersion3,
    kVersion4,
    kVersion5,
    absl::StrCat(kVersion5, kFrom5To6),
    absl::StrCat(kVersion5, kFrom5To6, kFrom6To7),
    absl::StrCat(kVersion5, kFrom5To6, kFrom6To7, kFrom7To8),
    absl::StrCat(kVersion5, kFrom5To6, kFrom6To7, kFrom7To8, kFrom8To9)};

constexpr char kOldJob[] =
    "INSERT INTO jobs (tenant, id, state, method, model, samplers, base_digest, create_time,"
    " not_before, lease_token, lease_expire, worker, failures, last_seq, version, checkpoint, job)"
    " VALUES ('default', ?, ?, 'dreambooth', 'models/mini', 'ddim', '', 1000000, 0, ?, ?, ?, 0, 1,"
    " 1, NULL, ?) RETURNING key";
constexpr char kOldEvent[] = "INSERT INTO events (job, seq, event) VALUES (?, 1, ?)";
constexpr char kOldModel[] = "INSERT INTO models (tenant, id, job) VALUES ('default', ?, ?)";
constexpr char kMade[] = "UPDATE models SET model = ? WHERE job = ?";
constexpr char kOldRequest[] =
    "INSERT INTO requests (tenant, request_id, fingerprint, job) VALUES ('default', ?, 'f', ?)";
constexpr char kOldEnd[] = "UPDATE jobs SET end_time = ? WHERE key = ?";
constexpr char kOldLabel[] = "INSERT INTO labels (job, key, value) VALUES (?, 'id', ?)";

// What tables and indexes there are, and of what columns; in no order, because columns that were
// added stand last.
std::set<std::string> ShapeOf(Database& database) {
  std::set<std::string> shape;
  std::vector<std::string> tables;
  {
    Query query = database.PrepareOnce("SELECT type, name, tbl_name, sql FROM sqlite_master");
    while (*query.Step()) {
      std::string sql;
      for (const char c : query.String(3)) {
        if (query.Bytes(0) == "index" && !isspace(static_cast<unsigned char>(c))) sql += c;
      }
      shape.insert(absl::StrCat(query.Bytes(0), " ", query.Bytes(1), " ", sql));
      if (query.Bytes(0) == "table") tables.push_back(query.String(1));
    }
  }
  for (const std::string& table : tables) {
    Query query = database.PrepareOnce(
        absl::StrCat("SELECT name, type, \"notnull\", COALESCE(dflt_value, '-'), pk, hidden FROM"
                     " pragma_table_xinfo('",
                     table, "')"));
    while (*query.Step()) {
      shape.insert(absl::StrCat(table, ".", query.Bytes(0), " ", query.Bytes(1), " ",
                                query.Integer(2), " ", query.Bytes(3), " ", query.Integer(4), " ",
                                query.Integer(5)));
    }
  }
  return shape;
}

class SchemaTest : public ::testing::TestWithParam<int> {
 protected:
  std::unique_ptr<Database> OpenDatabase(const std::string& name) {
    auto database = Database::Open(folder_.path() + "/" + name, Database::Mode::kWriter);
    EXPECT_TRUE(database.ok()) << database.status();
    return *std::move(database);
  }

  // A job as the old version would have written it.
  void AddJob(Database& database, const std::string& id, v1::JobState state) {
    v1::Job job;
    job.set_name("tenants/default/jobs/" + id);
    job.set_state(state);
    job.set_max_attempts(3);
    job.set_attempt(state == v1::JOB_STATE_PENDING ? 0 : 1);
    (*job.mutable_labels())["id"] = id;
    job.mutable_fine_tune()->set_base_model("models/mini");
    job.set_output_model("tenants/default/models/" + id);
    *job.mutable_create_time() = ToProto(absl::FromUnixSeconds(1));
    const bool ended = state == v1::JOB_STATE_SUCCEEDED;
    const bool leased = state == v1::JOB_STATE_RUNNING;
    if (ended) {
      *job.mutable_end_time() = ToProto(absl::FromUnixSeconds(2));
      job.add_outputs()->set_path("model/unet/config.json");
      job.mutable_outputs(0)->set_kind(v1::OUTPUT_KIND_MODEL_FILE);
    }
    int64_t key = 0;
    {
      Query query = database.Prepare(kOldJob);
      query.Bind(id).Bind(int64_t{state}).Bind(leased ? "3.secret" : "");
      query.Bind(leased ? absl::FromUnixSeconds(1'900'000'000) : absl::InfinitePast());
      ASSERT_TRUE(*query.Bind(leased ? "w" : "").BindBlob(job.SerializeAsString()).Step());
      key = query.Integer(0);
    }
    v1::JobEvent event;
    event.set_seq(1);
    event.mutable_state_change()->set_to(state);
    ASSERT_TRUE(
        database.Prepare(kOldEvent).Bind(key).BindBlob(event.SerializeAsString()).Run().ok());
    ASSERT_TRUE(database.Prepare(kOldModel).Bind(id).Bind(key).Run().ok());
    ASSERT_TRUE(database.Prepare(kOldRequest).Bind("r-" + id).Bind(key).Run().ok());
    if (GetParam() >= 2 && ended) {
      const std::string made = ModelMadeBy(job).SerializeAsString();
      ASSERT_TRUE(database.Prepare(kMade).BindBlob(made).Bind(key).Run().ok());
    }
    if (GetParam() < 3) return;
    ASSERT_TRUE(database.Prepare(kOldLabel).Bind(key).Bind(id).Run().ok());
    if (!ended) return;
    ASSERT_TRUE(database.Prepare(kOldEnd).Bind(absl::FromUnixSeconds(2)).Bind(key).Run().ok());
  }

  void MakeOldFile(const std::string& name) {
    auto database = OpenDatabase(name);
    ASSERT_TRUE(database->Execute(kOldVersions[GetParam() - 1].c_str()).ok());
    AddJob(*database, "made", v1::JOB_STATE_SUCCEEDED);
    AddJob(*database, "waiting", v1::JOB_STATE_PENDING);
    AddJob(*database, "leased", v1::JOB_STATE_RUNNING);
  }

  likeness::testing::TempFolder folder_;
};

TEST_P(SchemaTest, OldFileHasTheSameTablesAsANewOneAfterwards) {
  MakeOldFile("old.sqlite");
  auto old = OpenDatabase("old.sqlite");
  ASSERT_TRUE(PrepareSchema(*old).ok());
  EXPECT_TRUE(CheckSchema(*old).ok());
  auto fresh = OpenDatabase("fresh.sqlite");
  ASSERT_TRUE(PrepareSchema(*fresh).ok());
  EXPECT_EQ(ShapeOf(*old), ShapeOf(*fresh));
}

TEST_P(SchemaTest, EverythingInAnOldFileGoesOn) {
  MakeOldFile("jobs.sqlite");
  FakeClock clock;  // in 2027
  SqliteJobStoreOptions options;
  options.path = folder_.path() + "/jobs.sqlite";
  for (int start = 0; start < 2; ++start) {  // the second finds a file of this version
    auto opened = SqliteJobStore::Open(options, clock);
    ASSERT_TRUE(opened.ok()) << opened.status();
    JobStore& store = **opened;
    EXPECT_EQ(store.Get({"default", "made"})->state(), v1::JOB_STATE_SUCCEEDED);
    const auto made = store.GetModel({"default", "made"});
    ASSERT_TRUE(made.ok()) << made.status();
    EXPECT_EQ(made->files(0).path(), "unet/config.json");
    EXPECT_EQ(ErrorReason(store.GetModel({"default", "waiting"}).status()), "MODEL_NOT_READY");
    EXPECT_EQ((*store.FindRequest("default", "r-waiting", "f"))->name(),
              "tenants/default/jobs/waiting");
    const int64_t key = store.Snapshot({"default", "leased"})->key;
    EXPECT_EQ(store.EventsAfter({"default", "leased"}, key, 0, 10)->size(), 1u);
    JobQuery query;
    query.filter = *ParseJobFilter("labels.id = waiting");
    EXPECT_EQ(store.List("default", query)->jobs.size(), 1u);
    query.filter = {};
    query.order = *ParseJobOrder("end_time");
    EXPECT_EQ(store.List("default", query)->jobs.at(0).name(), "tenants/default/jobs/made");
  }
  auto store = *SqliteJobStore::Open(options, clock);
  v1::HeartbeatRequest news;
  news.set_lease_token("3.secret");
  EXPECT_TRUE(store->Renew(news).ok()) << "a lease outlives the upgrade";
  v1::AcquireLeaseRequest offer;
  offer.set_worker("w");
  offer.add_base_models()->set_name("baseModels/mini");
  offer.add_methods("dreambooth");
  offer.add_samplers("ddim");
  const auto lease = store->Acquire(offer);
  ASSERT_TRUE(lease.ok()) << lease.status();
  ASSERT_TRUE(lease->has_value());
  EXPECT_EQ((*lease)->job().name(), "tenants/default/jobs/waiting");
}

TEST_P(SchemaTest, KeysAreNotUsedAgain) {
  MakeOldFile("jobs.sqlite");
  FakeClock clock;
  SqliteJobStoreOptions options;
  options.path = folder_.path() + "/jobs.sqlite";
  auto store = *SqliteJobStore::Open(options, clock);
  int64_t last = store->Snapshot({"default", "leased"})->key;
  for (int i = 0; i < 3; ++i) {
    NewJob job;
    job.job.set_name("tenants/default/jobs/fresh");
    job.job.mutable_generate()->mutable_model()->set_name("baseModels/mini");
    ASSERT_TRUE(store->Create(job).ok());
    const int64_t key = store->Snapshot({"default", "fresh"})->key;
    EXPECT_GT(key, last);
    last = key;
    ASSERT_TRUE(store->Cancel({"default", "fresh"}, "").ok());
    ASSERT_TRUE(store->Delete({"default", "fresh"}, "").ok());
  }
}

INSTANTIATE_TEST_SUITE_P(Versions, SchemaTest,
                         ::testing::Range(1, static_cast<int>(std::size(kOldVersions)) + 1));

class Version10Test : public ::testing::Test {
 protected:
  void SetUp() override {
    auto database = *Database::Open(options_.path, Database::Mode::kWriter);
    ASSERT_TRUE(database->Execute("PRAGMA foreign_keys = OFF").ok());
    ASSERT_TRUE(database->Execute(kVersion10Store).ok());
    ASSERT_TRUE(database->Execute("PRAGMA user_version = 10").ok());
  }

  // The job with all that belongs to it, as it is read after the upgrade.
  v1::Job Get(JobStore& store, const std::string& id) {
    auto job = store.Get({"default", id});
    EXPECT_TRUE(job.ok()) << job.status();
    return job.value_or(v1::Job());
  }

  likeness::testing::TempFolder folder_;
  FakeClock clock_{absl::FromUnixSeconds(1'795'700'754)};
  SqliteJobStoreOptions options_{.path = folder_.path() + "/jobs.sqlite"};
};

TEST_F(Version10Test, RecordsAreThoseOfTheNewContract) {
  auto store = *SqliteJobStore::Open(options_, clock_);
  const v1::Job made = Get(*store, "made");
  EXPECT_EQ(made.fine_tune().base_model(), "baseModels/mini");
  ASSERT_EQ(made.fine_tune().subjects_size(), 1);
  EXPECT_EQ(made.fine_tune().subjects(0).class_noun(), "dog");
  EXPECT_EQ(made.fine_tune().subjects(0).photos_size(), 1);
  EXPECT_EQ(made.fine_tune().output_model_id(), "rex");
  EXPECT_EQ(made.fine_tune().dreambooth().text_encoder_learning_rate(), 2e-6);
  EXPECT_TRUE(made.fine_tune().dreambooth().train_text_encoder());
  EXPECT_EQ(made.fine_tune().samples().negative_prompt(), "cat");
  EXPECT_EQ(made.progress().phase(), v1::JOB_PHASE_DONE);
  EXPECT_EQ(made.resolved().fine_tune().base_model(), "baseModels/mini");
  EXPECT_EQ(made.priority(), 3);
  EXPECT_TRUE(made.outputs(0).has_seed()) << "a picture that was drawn from seed 0";
  EXPECT_FALSE(made.outputs(1).has_seed());

  const v1::Job running = Get(*store, "running");
  EXPECT_EQ(running.generate().model().name(), "baseModels/mini");
  EXPECT_EQ(running.progress().phase(), v1::JOB_PHASE_SAMPLING);
  EXPECT_EQ(running.progress().unit(), "images");
  EXPECT_EQ(running.progress().done(), 7);
  EXPECT_EQ(Get(*store, "drawing").generate().model().name(), "tenants/default/models/rex");

  const auto model = store->GetModel({"default", "rex"});
  ASSERT_TRUE(model.ok()) << model.status();
  EXPECT_EQ(model->base_model(), "baseModels/mini");
  EXPECT_EQ(model->class_noun(), "dog");
  const auto base = *store->BaseModels();
  ASSERT_EQ(base.size(), 1u);
  EXPECT_EQ(base[0].name(), "baseModels/mini");
  EXPECT_EQ(base[0].display_name(), "mini");
}

TEST_F(Version10Test, EventsAreThoseOfTheNewContract) {
  auto store = *SqliteJobStore::Open(options_, clock_);
  const int64_t key = store->Snapshot({"default", "made"})->key;
  const auto events = *store->EventsAfter({"default", "made"}, key, 0, 100);
  ASSERT_FALSE(events.empty());
  EXPECT_EQ(events.front().state_change().detail(), "created");
  bool progress = false;
  for (const v1::JobEvent& event : events) {
    EXPECT_EQ(event.DebugString().find("\"models/"), std::string::npos);
    if (!event.has_progress()) continue;
    progress = true;
    EXPECT_EQ(event.progress().phase(), v1::JOB_PHASE_CLASS_IMAGES);
    EXPECT_EQ(event.progress().phases_size(), 3);
    EXPECT_EQ(event.progress().remaining_duration().seconds(), 3);
  }
  EXPECT_TRUE(progress);
  EXPECT_EQ(events.back().state_change().job().fine_tune().base_model(), "baseModels/mini");
}

TEST_F(Version10Test, WorkGoesOn) {
  auto store = *SqliteJobStore::Open(options_, clock_);
  v1::HeartbeatRequest news;
  news.set_lease_token(kVersion10Token);
  EXPECT_TRUE(store->Renew(news).ok()) << "a lease outlives the upgrade";
  v1::AcquireLeaseRequest offer;
  offer.set_worker("w");
  v1::BaseModel& base = *offer.add_base_models();
  base.set_name("baseModels/mini");
  base.set_digest(std::string(64, 'c'));
  offer.add_methods("dreambooth");
  offer.add_samplers("ddim");
  const auto resumed = *store->Acquire(offer);
  ASSERT_TRUE(resumed.has_value());
  EXPECT_EQ(resumed->job().name(), "tenants/default/jobs/resumed");
  EXPECT_EQ(resumed->checkpoint().resolved().fine_tune().base_model(), "baseModels/mini");
  offer.set_methods(0, "generate");
  const auto drawing = *store->Acquire(offer);
  ASSERT_TRUE(drawing.has_value());
  EXPECT_EQ(drawing->job().name(), "tenants/default/jobs/drawing");
  ASSERT_EQ(drawing->models_size(), 1);
  EXPECT_EQ(drawing->models(0).files(0).path(), "unet/config.json");
}

TEST_F(Version10Test, RecordThatCannotBeReadIsNamed) {
  int64_t key = 0;
  {
    auto database = *Database::Open(options_.path, Database::Mode::kWriter);
    Query query = database->Prepare("UPDATE jobs SET job = x'ff' WHERE id = 'made' RETURNING key");
    ASSERT_TRUE(*query.Step());
    key = query.Integer(0);
    ASSERT_FALSE(*query.Step());
  }
  const auto status = SqliteJobStore::Open(options_, clock_).status();
  EXPECT_EQ(ErrorReason(status), "STORE_DAMAGED");
  EXPECT_NE(status.message().find(absl::StrCat("table jobs, key ", key, "/0")), std::string::npos)
      << status;
}

TEST_F(Version10Test, HasTheShapeOfANewStore) {
  auto old = *Database::Open(options_.path, Database::Mode::kWriter);
  ASSERT_TRUE(PrepareSchema(*old).ok());
  auto fresh = *Database::Open(folder_.path() + "/fresh.sqlite", Database::Mode::kWriter);
  ASSERT_TRUE(PrepareSchema(*fresh).ok());
  EXPECT_EQ(ShapeOf(*old), ShapeOf(*fresh));
}

TEST(OlderSchemaTest, WhoMayNotWriteRefusesIt) {
  likeness::testing::TempFolder folder;
  auto database = *Database::Open(folder.path() + "/jobs.sqlite", Database::Mode::kWriter);
  ASSERT_TRUE(database->Execute(kVersion1).ok());
  EXPECT_EQ(ErrorReason(CheckSchema(*database)), "STORE_TOO_OLD");
}

TEST(NewerSchemaTest, FileOfALaterVersionIsRefusedAndLeftAsItIs) {
  likeness::testing::TempFolder folder;
  const std::string path = folder.path() + "/jobs.sqlite";
  auto database = *Database::Open(path, Database::Mode::kWriter);
  ASSERT_TRUE(PrepareSchema(*database).ok());
  ASSERT_TRUE(database->Execute("PRAGMA user_version = 99").ok());
  EXPECT_EQ(ErrorReason(PrepareSchema(*database)), "STORE_TOO_NEW");
  EXPECT_EQ(ErrorReason(CheckSchema(*database)), "STORE_TOO_NEW");
}

}  // namespace
}  // namespace likeness::server

#include "server/jobs/sqlite/sqlite_job_store.h"

#include <atomic>
#include <fstream>
#include <iterator>
#include <thread>

#include "absl/strings/str_cat.h"
#include "server/jobs/contract/job_store_contract.h"

namespace likeness::server {
namespace {

std::unique_ptr<JobStore> OpenSqlite(const std::string& folder, const Clock& clock,
                                     JobStore::Listener listener) {
  SqliteJobStoreOptions options;
  options.path = folder + "/jobs.sqlite";
  options.lease.duration = kTestLease;
  options.retry.first_delay = kTestRetry;
  options.listener = std::move(listener);
  auto store = SqliteJobStore::Open(options, clock);
  EXPECT_TRUE(store.ok()) << store.status();
  return *std::move(store);
}

INSTANTIATE_TEST_SUITE_P(Sqlite, JobStoreTest, ::testing::Values(&OpenSqlite));

// Of a database, its log written back.
std::string BytesOf(const std::string& path) {
  auto database = Database::Open(path, Database::Mode::kWriter);
  EXPECT_TRUE((*database)->Execute("PRAGMA wal_checkpoint(TRUNCATE)").ok());
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

TEST(SqliteJobStoreTest, NothingOfAnErasedJobCanBeReadFromTheFile) {
  likeness::testing::TempFolder folder;
  FakeClock clock;
  const std::string prompt = "an unmistakable prompt";
  const auto open = [&] { return OpenSqlite(folder.path(), clock, [](const JobChange&) {}); };
  const auto create = [&](JobStore& store, const std::string& id) {
    NewJob job;
    job.job.set_name("tenants/default/jobs/" + id);
    job.job.mutable_generate()->mutable_model()->set_name("baseModels/mini");
    for (int i = 0; i < 200; ++i) job.job.mutable_generate()->add_prompts(prompt);
    ASSERT_TRUE(store.Create(job).ok());
    ASSERT_TRUE(store.Cancel({"default", id}, "").ok());
  };
  create(*open(), "erased");
  ASSERT_NE(BytesOf(folder.path() + "/jobs.sqlite").find(prompt), std::string::npos);
  {
    auto store = open();
    const auto erased = store->EraseJob({"default", "erased"}, "");
    ASSERT_TRUE(erased.ok()) << erased.status();
  }
  EXPECT_EQ(BytesOf(folder.path() + "/jobs.sqlite").find(prompt), std::string::npos);
  {
    auto store = open();
    create(*store, "first");
    ASSERT_TRUE(store->EraseJob({"default", "first"}, "").ok());
    create(*store, "second");
    ASSERT_TRUE(store->Delete({"default", "second"}, "").ok());
  }
  EXPECT_EQ(BytesOf(folder.path() + "/jobs.sqlite").find(prompt), std::string::npos)
      << "an erasure does not end the overwriting of what is deleted after it";
}

TEST(SqliteJobStoreTest, JobOfAnIdThatIsRefusedByNowDoesNotHoldUpTheOthers) {
  likeness::testing::TempFolder folder;
  FakeClock clock;
  auto store = OpenSqlite(folder.path(), clock, [](const JobChange&) {});
  NewJob job;
  job.job.set_name("tenants/default/jobs/-");
  job.job.set_max_attempts(1);
  job.job.mutable_fine_tune()->set_base_model("baseModels/mini");
  job.job.set_output_model("tenants/default/models/-");
  ASSERT_TRUE(store->Create(job).ok());
  v1::AcquireLeaseRequest offer;
  offer.set_worker("w");
  offer.add_base_models()->set_name("baseModels/mini");
  offer.add_methods("dreambooth");
  v1::HeartbeatRequest heard;
  heard.set_lease_token((*store->Acquire(offer))->lease_token());
  ASSERT_TRUE(store->Renew(heard).ok());
  clock.Advance(absl::Hours(24));
  const auto expired = store->ExpireLeases();
  ASSERT_TRUE(expired.ok()) << expired.status();
  EXPECT_EQ(*expired, 1);
  clock.Advance(absl::Hours(24 * 1000));
  const auto swept = store->Sweep();
  ASSERT_TRUE(swept.ok()) << swept.status();
  EXPECT_EQ(swept->jobs, 1);
}

NewJob PictureJob(const std::string& id) {
  NewJob job;
  job.job.set_name("tenants/default/jobs/" + id);
  job.job.set_uid("uid-" + id);
  job.job.mutable_generate()->mutable_model()->set_name("baseModels/mini");
  return job;
}

// Of all events, in the order of job and seq.
std::vector<int64_t> CommitNumbers(const std::string& folder) {
  auto database = *Database::Open(folder + "/jobs.sqlite", Database::Mode::kReader);
  Query query = database->Prepare("SELECT commit_number FROM events ORDER BY job, seq");
  std::vector<int64_t> numbers;
  while (*query.Step()) numbers.push_back(query.Integer(0));
  return numbers;
}

TEST(SqliteJobStoreTest, TransactionsAreNumberedInOrderOverAllJobsAndStarts) {
  likeness::testing::TempFolder folder;
  FakeClock clock;
  for (const std::string change : {"create", "cancel"}) {
    auto store = OpenSqlite(folder.path(), clock, [](const JobChange&) {});
    for (const std::string id : {"a", "b"}) {
      if (change == "create") ASSERT_TRUE(store->Create(PictureJob(id)).ok());
      if (change == "cancel") ASSERT_TRUE(store->Cancel({"default", id}, "").ok());
    }
    clock.Set(clock.Now() - absl::Hours(1));
  }
  const auto numbers = CommitNumbers(folder.path());
  ASSERT_EQ(numbers.size(), 4u);
  EXPECT_GT(numbers[0], 0);
  EXPECT_LT(numbers[0], numbers[2]) << "b was created after a";
  EXPECT_LT(numbers[2], numbers[1]) << "and cancelled after both, under another server";
  EXPECT_LT(numbers[1], numbers[3]);
}

TEST(SqliteJobStoreTest, RequestIsFoundAsItsOwnJobOrNotAtAllBesideDeletions) {
  likeness::testing::TempFolder folder;
  FakeClock clock;
  auto store = OpenSqlite(folder.path(), clock, [](const JobChange&) {});
  std::atomic<bool> done = false;
  std::thread client([&] {
    for (int i = 0; i < 300; ++i) {
      const std::string id = i % 2 == 0 ? "a" : "b";  // each in the place of the other
      NewJob job = PictureJob(id);
      job.request_id = "request-" + id;
      EXPECT_TRUE(store->Create(job).ok());
      EXPECT_TRUE(store->Cancel({"default", id}, "").ok());
      EXPECT_TRUE(store->Delete({"default", id}, "").ok());
    }
    done = true;
  });
  while (!done && !HasFailure()) {
    for (const std::string id : {"a", "b"}) {
      const auto found = store->FindRequest("default", "request-" + id, "");
      EXPECT_TRUE(found.ok()) << found.status();
      if (found.ok() && *found) EXPECT_EQ((*found)->uid(), "uid-" + id);
    }
  }
  client.join();
}

TEST(ReadPoolTest, LoanSeesOneStateHoweverMuchIsWrittenMeanwhile) {
  likeness::testing::TempFolder folder;
  FakeClock clock;
  auto store = OpenSqlite(folder.path(), clock, [](const JobChange&) {});
  ReadPool readers(folder.path() + "/jobs.sqlite");
  const auto count = [](Database& database) {
    Query query = database.Prepare("SELECT COUNT(*) FROM jobs");
    EXPECT_TRUE(query.Run().ok());
    return query.Integer(0);
  };
  for (int64_t jobs = 0; jobs < 2; ++jobs) {  // the second time over the connection of the first
    const auto loan = *readers.Borrow();
    EXPECT_EQ(count(*loan), jobs);
    ASSERT_TRUE(store->Create(PictureJob(absl::StrCat(jobs))).ok());
    EXPECT_EQ(count(*loan), jobs);
  }
}

TEST(SqliteJobStoreTest, OffersOfTwoDigestsAreNotWrittenAtEveryPoll) {
  likeness::testing::TempFolder folder;
  FakeClock clock;
  auto store = OpenSqlite(folder.path(), clock, [](const JobChange&) {});
  auto database = *Database::Open(folder.path() + "/jobs.sqlite", Database::Mode::kReader);
  const auto last_commit = [&] { return *ReadLastCommit(*database); };
  std::vector<int64_t> commits;
  for (int poll = 0; poll < 10; ++poll) {
    for (const char* digest : {"d1", "d2"}) {
      v1::BaseModel model;
      model.set_name("baseModels/mini");
      model.set_digest(digest);
      ASSERT_TRUE(store->OfferBaseModels({model}).ok());
    }
    EXPECT_EQ(store->BaseModels()->size(), 1u);
    commits.push_back(last_commit());
  }
  EXPECT_EQ(commits.front(), commits.back());
}

TEST(SqliteJobStoreTest, OffersThatDifferInTheirMeasuresAreNotWrittenAtEveryPoll) {
  likeness::testing::TempFolder folder;
  FakeClock clock;
  auto store = OpenSqlite(folder.path(), clock, [](const JobChange&) {});
  auto database = *Database::Open(folder.path() + "/jobs.sqlite", Database::Mode::kReader);
  const auto last_commit = [&] { return *ReadLastCommit(*database); };
  v1::BaseModel plain;
  plain.set_name("baseModels/mini");
  plain.set_digest("d1");
  v1::BaseModel judged = plain;
  judged.add_measures(v1::MEASURE_DINO);
  const auto poll_by_turns = [&] {
    for (const auto& model : {plain, judged}) ASSERT_TRUE(store->OfferBaseModels({model}).ok());
  };
  poll_by_turns();
  EXPECT_EQ(store->BaseModels()->front().measures_size(), 1) << "news are kept at once";
  const int64_t first = last_commit();
  for (int poll = 0; poll < 10; ++poll) poll_by_turns();
  EXPECT_EQ(last_commit(), first);
  clock.Advance(absl::Minutes(1));
  poll_by_turns();
  const int64_t renewed = last_commit();
  EXPECT_GT(renewed, first) << "an offer that is not repeated runs out";
  for (int poll = 0; poll < 10; ++poll) poll_by_turns();
  EXPECT_EQ(last_commit(), renewed);
}

TEST(SqliteJobStoreTest, TenantKeepsSoManyJobsThatHaveEnded) {
  likeness::testing::TempFolder folder;
  FakeClock clock;
  SqliteJobStoreOptions options;
  options.path = folder.path() + "/jobs.sqlite";
  options.retention.jobs_per_tenant = 3;
  const auto end = [&](JobStore& store, const std::string& id) {
    clock.Advance(absl::Seconds(1));
    ASSERT_TRUE(store.Create(PictureJob(id)).ok());
    ASSERT_TRUE(store.Cancel({"default", id}, "").ok());
  };
  const auto ids = [](JobStore& store) {
    std::string ids;
    const auto page = store.List("default", {});
    for (const v1::Job& job : page->jobs) {
      ids += ParseJobName(job.name())->id;
    }
    return ids;
  };
  {
    auto store = *SqliteJobStore::Open(options, clock);
    for (const char* id : {"a", "b", "c"}) end(*store, id);
    ASSERT_TRUE(store->Create(PictureJob("w")).ok()) << "what waits is not counted";
    const auto yes = [](const std::string&) { return true; };
    ASSERT_TRUE(store->Retry({"default", "a"}, "", yes).ok());
    end(*store, "d");
    EXPECT_EQ(ids(*store), "dwcba") << "a waits again";
    ASSERT_TRUE(store->Cancel({"default", "a"}, "").ok());
    EXPECT_EQ(ids(*store), "dwca") << "b was the first to end";
    ASSERT_TRUE(store->Delete({"default", "c"}, "").ok());
    end(*store, "e");
    EXPECT_EQ(ids(*store), "edwa");
  }
  options.retention.jobs_per_tenant = 1;
  auto store = *SqliteJobStore::Open(options, clock);
  end(*store, "f");
  end(*store, "g");
  EXPECT_EQ(ids(*store), "gw");
  options.retention = {.bytes_per_tenant = 1};
  store.reset();
  store = *SqliteJobStore::Open(options, clock);
  end(*store, "h");
  EXPECT_EQ(ids(*store), "hw") << "the last one stays";
}

constexpr char kManyCalls[] = R"sql(
WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 10000)
INSERT INTO webhook_calls (tenant, job, progress, receiver, seq, create_time, due, attempts, call)
SELECT 'default', 'u', 0, 'r', i, 0, 0, 0, x'' FROM n;
)sql";

TEST(SqliteJobStoreTest, OldestWebhookCallsMakeRoomAndAreCounted) {
  likeness::testing::TempFolder folder;
  FakeClock clock;
  int dropped = 0;
  auto store = OpenSqlite(folder.path(), clock, [&](const JobChange& change) {
    dropped += change.webhook_calls_dropped;
  });
  auto database = *Database::Open(folder.path() + "/jobs.sqlite", Database::Mode::kWriter);
  ASSERT_TRUE(database->Execute(kManyCalls).ok());
  for (const std::string tenant : {"default", "other"}) {
    NewJob job = PictureJob("a");
    job.job.set_name("tenants/" + tenant + "/jobs/a");
    job.job.mutable_webhook()->add_events(v1::WEBHOOK_EVENT_STATE_CHANGE);
    ASSERT_TRUE(store->Create(job).ok());
  }
  EXPECT_EQ(*store->CountWebhookCalls(), 10'001);
  store.reset();  // and with it the thread that tells
  EXPECT_EQ(dropped, 1);
  Query oldest = database->Prepare("SELECT MIN(seq) FROM webhook_calls WHERE job = 'u'");
  ASSERT_TRUE(oldest.Run().ok());
  EXPECT_EQ(oldest.Integer(0), 2);
}

TEST(SqliteJobStoreTest, FileOfALaterVersionIsRefused) {
  likeness::testing::TempFolder folder;
  FakeClock clock;
  OpenSqlite(folder.path(), clock, [](const JobChange&) {}).reset();
  {
    auto database = Database::Open(folder.path() + "/jobs.sqlite", Database::Mode::kWriter);
    ASSERT_TRUE((*database)->Execute("PRAGMA user_version = 99").ok());
  }
  SqliteJobStoreOptions options;
  options.path = folder.path() + "/jobs.sqlite";
  EXPECT_EQ(ErrorReason(SqliteJobStore::Open(options, clock).status()), "STORE_TOO_NEW");
}

// A shorter lease after a restart must not look like time that has passed.
TEST(SqliteJobStoreTest, ShorterLeasesAfterARestartMoveNoClock) {
  likeness::testing::TempFolder folder;
  FakeClock clock;
  SqliteJobStoreOptions options;
  options.path = folder.path() + "/jobs.sqlite";
  options.lease.duration = absl::Hours(1);
  v1::AcquireLeaseRequest offer;
  offer.set_worker("w");
  offer.add_base_models()->set_name("baseModels/mini");
  offer.add_methods("generate");
  {
    auto store = *SqliteJobStore::Open(options, clock);
    ASSERT_TRUE(store->Create(PictureJob("a")).ok());
    ASSERT_TRUE((*store->Acquire(offer)).has_value());
  }
  options.lease.duration = absl::Seconds(30);
  auto store = *SqliteJobStore::Open(options, clock);
  ASSERT_TRUE(store->ExtendLeases().ok());
  EXPECT_EQ(FromProto(store->Create(PictureJob("b"))->create_time()), clock.Now());
  EXPECT_EQ(*store->ExpireLeases(), 0);
  clock.Advance(absl::Seconds(30));
  EXPECT_EQ(*store->ExpireLeases(), 1);
}

// A heartbeat, with no news yet, of the lease of a new job "a".
v1::HeartbeatRequest LeaseJobA(JobStore& store) {
  EXPECT_TRUE(store.Create(PictureJob("a")).ok());
  v1::AcquireLeaseRequest offer;
  offer.add_base_models()->set_name("baseModels/mini");
  offer.add_methods("generate");
  v1::HeartbeatRequest heartbeat;
  heartbeat.set_lease_token((*store.Acquire(offer))->lease_token());
  return heartbeat;
}

TEST(SqliteJobStoreTest, ProgressTakesThePlaceOfProgressAlone) {
  likeness::testing::TempFolder folder;
  FakeClock clock;
  auto store = OpenSqlite(folder.path(), clock, [](const JobChange&) {});
  v1::HeartbeatRequest news = LeaseJobA(*store);
  for (int i = 0; i < 3; ++i) ASSERT_TRUE(store->Renew(news).ok());  // nothing new
  for (int done = 1; done <= 2; ++done) {
    news.mutable_progress()->set_done(done);
    ASSERT_TRUE(store->Renew(news).ok());
  }
  const auto events =
      store->EventsAfter({"default", "a"}, store->Snapshot({"default", "a"})->key, 0, 10);
  ASSERT_EQ(events->size(), 3u);
  EXPECT_EQ(events->at(0).state_change().to(), v1::JOB_STATE_PENDING);
  EXPECT_EQ(events->at(1).state_change().to(), v1::JOB_STATE_RUNNING);
  EXPECT_EQ(events->at(2).progress().done(), 2);
}

TEST(SqliteJobStoreTest, ProgressIsARowOfItsOwnUntilSomethingElseHappens) {
  likeness::testing::TempFolder folder;
  FakeClock clock;
  auto store = OpenSqlite(folder.path(), clock, [](const JobChange&) {});
  v1::HeartbeatRequest news = LeaseJobA(*store);
  auto database = *Database::Open(folder.path() + "/jobs.sqlite", Database::Mode::kReader);
  const auto number = [&](const char* sql) {
    Query query = database->PrepareOnce(sql);
    EXPECT_TRUE(query.Run().ok());
    return query.Integer(0);
  };
  ASSERT_TRUE(store->Renew(news).ok());  // the first one says that the worker has its lease
  const int64_t version = number("SELECT version FROM jobs");
  const int64_t events = number("SELECT COUNT(*) FROM events");
  for (int done = 1; done <= 20; ++done) {
    news.mutable_progress()->set_done(done);
    ASSERT_TRUE(store->Renew(news).ok());
    EXPECT_EQ(store->Get({"default", "a"})->progress().done(), done);
    EXPECT_EQ(store->List("default", {})->jobs.at(0).progress().done(), done);
    EXPECT_EQ(store->Snapshot({"default", "a"})->last_seq, 2 + done);
  }
  EXPECT_EQ(number("SELECT version FROM jobs"), version) << "the job's row was not written";
  EXPECT_EQ(number("SELECT COUNT(*) FROM events"), events + 1) << "of progress the last is kept";
  news.mutable_checkpoint()->set_step(5);
  ASSERT_TRUE(store->Renew(news).ok());
  EXPECT_EQ(number("SELECT COUNT(*) FROM reports"), 0);
  EXPECT_EQ(store->Get({"default", "a"})->progress().done(), 20);
  EXPECT_EQ(store->Snapshot({"default", "a"})->last_seq, 23);
}

}  // namespace
}  // namespace likeness::server

#include "server/jobs/sqlite/sqlite_job_store.h"

#include "server/jobs/job_store_contract.h"

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

}  // namespace
}  // namespace likeness::server

#include "server/jobs/sqlite/checked_files.h"

#include <sqlite3.h>

#include <filesystem>
#include <map>
#include <memory>

#include "absl/strings/str_cat.h"
#include "common/rpc_error.h"
#include "gtest/gtest.h"
#include "server/jobs/sqlite/opening.h"
#include "server/jobs/sqlite/sqlite_job_store.h"
#include "tests/support/disk_faults.h"
#include "tests/support/test_server.h"

namespace likeness::server {
namespace {

namespace fs = std::filesystem;

constexpr int kPage = 4096;
constexpr int kJobs = 12;

class CheckedFilesTest : public ::testing::Test {
 protected:
  absl::StatusOr<std::unique_ptr<SqliteJobStore>> OpenStore() {
    SqliteJobStoreOptions options;
    options.path = path_;
    return SqliteJobStore::Open(options, clock_);
  }

  // The answers of a store of a few jobs, by name; the store is closed again.
  std::map<std::string, std::string> Fill() {
    std::map<std::string, std::string> truth;
    auto store = *OpenStore();
    for (int i = 0; i < kJobs; ++i) {
      NewJob job;
      job.job.set_name(absl::StrCat("tenants/default/jobs/job-", i));
      job.job.mutable_generate()->mutable_model()->set_name("baseModels/mini");
      job.job.mutable_generate()->add_prompts(std::string(1000 + 500 * i, 'p'));
      EXPECT_TRUE(store->Create(job).ok());
      truth[job.job.name()] = Told(*store, job.job.name())->SerializeAsString();
    }
    store.reset();
    EXPECT_TRUE(OpenForWriting(path_).ok());  // brings all from the log into the database
    return truth;
  }

  static absl::StatusOr<v1::Job> Told(JobStore& store, const std::string& name) {
    auto job = store.Get(*ParseJobName(name));
    if (job.ok()) job->clear_estimated_start_time();
    return job;
  }

  likeness::testing::TempFolder folder_;
  const std::string path_ = folder_.path() + "/jobs.sqlite";
  const std::string whole_ = folder_.path() + "/whole.sqlite";
  FakeClock clock_;
};

// Wherever a bit flips, an answer is right or it is an error.
TEST_F(CheckedFilesTest, FlippedBitAnywhereIsNeverServed) {
  const auto truth = Fill();
  fs::rename(path_, whole_);
  const auto pages = static_cast<int64_t>(fs::file_size(whole_)) / kPage;
  int refused = 0;
  for (int64_t page = 0; page < pages; ++page) {
    for (const auto& file : fs::directory_iterator(folder_.path())) {
      if (file.path() != whole_) fs::remove(file.path());
    }
    fs::copy_file(whole_, path_);
    likeness::testing::FlipBit(path_, page * kPage + (page * 1237 + 30) % kPage,
                               static_cast<int>(page % 8));
    const auto store = OpenStore();
    if (!store.ok()) {
      EXPECT_EQ(ErrorReason(store.status()), "STORE_DAMAGED") << store.status();
      ++refused;
      continue;
    }
    for (const auto& [name, answer] : truth) {
      const auto job = Told(**store, name);
      if (job.ok()) {
        EXPECT_EQ(job->SerializeAsString(), answer) << "page " << page;
      } else {
        EXPECT_EQ(ErrorReason(job.status()), "STORE_DAMAGED") << job.status();
        ++refused;
      }
    }
    auto list = (*store)->List("default", JobQuery());
    if (!list.ok()) {
      EXPECT_EQ(ErrorReason(list.status()), "STORE_DAMAGED") << list.status();
      continue;
    }
    for (v1::Job& job : list->jobs) {
      job.clear_estimated_start_time();
      EXPECT_EQ(job.SerializeAsString(), truth.at(job.name())) << "page " << page;
    }
  }
  EXPECT_GT(refused, 5);
}

TEST_F(CheckedFilesTest, CutDatabaseSaysSo) {
  const auto truth = Fill();
  fs::rename(path_, whole_);
  const auto size = static_cast<int64_t>(fs::file_size(whole_));
  for (int64_t left = kPage; left < size; left += 2 * kPage + 1000) {
    fs::remove(path_);
    fs::copy_file(whole_, path_);
    fs::resize_file(path_, static_cast<uintmax_t>(left));
    const auto store = OpenStore();
    absl::Status status = store.status();
    for (const auto& [name, answer] : truth) {
      if (!store.ok()) break;
      const auto job = Told(**store, name);
      if (job.ok()) {
        EXPECT_EQ(job->SerializeAsString(), answer);
      } else {
        status = job.status();
      }
    }
    EXPECT_EQ(ErrorReason(status), "STORE_DAMAGED") << "at " << left << ": " << status;
  }
}

TEST_F(CheckedFilesTest, FlippedBitInTheLogIsFoundBeforeItIsInTheDatabase) {
  auto database = *Database::Open(path_, Database::Mode::kWriter);
  ASSERT_TRUE(database->Execute("CREATE TABLE texts (text TEXT)").ok());
  const std::string text(3000, 't');
  ASSERT_TRUE(database->Prepare("INSERT INTO texts VALUES (?)").Bind(text).Run().ok());
  const auto log = static_cast<int64_t>(fs::file_size(path_ + "-wal"));
  likeness::testing::FlipBit(path_ + "-wal", log - 1000);
  auto reader = *Database::Open(path_, Database::Mode::kReader);
  EXPECT_EQ(ErrorReason(reader->Prepare("SELECT text FROM texts").Step().status()),
            "STORE_DAMAGED");
  EXPECT_FALSE(database->Execute("PRAGMA wal_checkpoint(TRUNCATE)").ok());
}

TEST_F(CheckedFilesTest, OlderDatabaseGetsChecksumsWhenItIsOpened) {
  sqlite3* plain = nullptr;
  {
    // As SQLite makes it without us.
    ASSERT_EQ(sqlite3_open(path_.c_str(), &plain), SQLITE_OK);
    ASSERT_EQ(sqlite3_exec(plain,
                           "PRAGMA journal_mode = WAL; CREATE TABLE texts (text TEXT);"
                           "INSERT INTO texts VALUES ('kept'); PRAGMA user_version = 10",
                           nullptr, nullptr, nullptr),
              SQLITE_OK);
    sqlite3_close(plain);
  }
  EXPECT_FALSE((*Database::Open(path_, Database::Mode::kReader))->has_checksums());
  {
    auto opened = OpenForWriting(path_);
    ASSERT_TRUE(opened.ok()) << opened.status();
    EXPECT_TRUE((*opened)->has_checksums());
    Query query = (*opened)->Prepare("SELECT text FROM texts");
    ASSERT_TRUE(*query.Step());
    EXPECT_EQ(query.String(0), "kept");
  }
  const auto pages = static_cast<int64_t>(fs::file_size(path_)) / kPage;
  likeness::testing::FlipBit(path_, (pages - 1) * kPage + 3000);
  auto reader = *Database::Open(path_, Database::Mode::kReader);
  EXPECT_EQ(ErrorReason(reader->Prepare("SELECT text FROM texts").Step().status()),
            "STORE_DAMAGED");
}

}  // namespace
}  // namespace likeness::server

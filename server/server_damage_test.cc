// Bits that flip and files that are cut, on the disk of a server.
#include <sqlite3.h>

#include <filesystem>
#include <set>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/digest.h"
#include "common/resource_names.h"
#include "common/rpc_error.h"
#include "gmock/gmock.h"
#include "server/server_disk_fixture.h"
#include "tests/support/disk_faults.h"
#include "tests/support/http_get.h"

namespace likeness::testing {
namespace {

class DamageTest : public ServerDiskTest {
 protected:
  // Uploads a blob of several pieces and returns its digest.
  std::string StoreBlob(const std::string& bytes) {
    (void)Create("job");
    EXPECT_TRUE(worker_.Acquire().ok());
    EXPECT_TRUE(worker_.Upload(bytes).ok());
    return Sha256Hex(bytes);
  }
};

TEST_F(DamageTest, FlippedBitOfABlobIsFoundByWhoeverReadsAnyPartOfIt) {
  StartServer();
  const std::string bytes(3 << 20, 'b');
  const std::string digest = StoreBlob(bytes);
  struct Range {
    int64_t offset, limit;
  };
  for (const Range& range :
       std::vector<Range>{{0, 0}, {2 << 20, 0}, {0, 1000}, {2 << 20, 1000}, {3 << 20, 0}}) {
    const int64_t end = range.limit > 0 ? range.offset + range.limit : 3 << 20;
    EXPECT_EQ(*ReadBlob(digest, range.offset, range.limit),
              bytes.substr(range.offset, end - range.offset));
    Kill();  // what it found whole a moment ago it would not read again for a part
    FlipBit(PathOf(digest), 1'500'000);
    StartServer();
    const auto read = ReadBlob(digest, range.offset, range.limit);
    EXPECT_EQ(ErrorReason(read.status()), "BLOB_DAMAGED") << range.offset << " " << read.status();
    EXPECT_FALSE(std::filesystem::exists(PathOf(digest))) << "set aside";
    EXPECT_TRUE(worker_.Upload(bytes).ok()) << "and mended by the next upload";
  }
}

TEST_F(DamageTest, CutBlobIsFoundEvenWhereNothingIsLeft) {
  StartServer();
  const std::string bytes(1 << 20, 'b');
  const std::string digest = StoreBlob(bytes);
  for (const int64_t left : {0, 1000, (1 << 20) - 1}) {
    std::filesystem::resize_file(PathOf(digest), left);
    EXPECT_EQ(ErrorReason(ReadBlob(digest, left == 1000 ? 5000 : 0).status()), "BLOB_DAMAGED");
    EXPECT_TRUE(worker_.Upload(bytes).ok());
  }
}

TEST_F(DamageTest, FlippedBitOfARecordIsDataLossForThatJobAndOthersGoOn) {
  StartServer();
  constexpr int kJobs = 30;
  for (int i = 0; i < kJobs; ++i) ASSERT_TRUE(Create(absl::StrCat("job-", i)).ok());
  Kill();
  StartServer();  // brings all from the log into the database
  Kill();
  // The pages of the records alone, as SQLite counts them.
  std::vector<int64_t> pages;
  {
    sqlite3* database = nullptr;
    ASSERT_EQ(sqlite3_open_v2(store_.c_str(), &database, SQLITE_OPEN_READONLY, nullptr), SQLITE_OK);
    sqlite3_stmt* query = nullptr;
    ASSERT_EQ(
        sqlite3_prepare_v2(database,
                           "SELECT pageno FROM dbstat WHERE name = 'jobs' AND pagetype = 'leaf'"
                           " ORDER BY path",
                           -1, &query, nullptr),
        SQLITE_OK);
    while (sqlite3_step(query) == SQLITE_ROW) pages.push_back(sqlite3_column_int64(query, 0));
    sqlite3_finalize(query);
    sqlite3_close(database);
  }
  ASSERT_GT(pages.size(), 2u);
  FlipBit(store_, (pages.front() - 1) * 4096 + 3000);  // that of the oldest job
  const int metrics = FreePort();
  StartServer({absl::StrCat("--metrics-listen=127.0.0.1:", metrics)});
  EXPECT_EQ(ErrorReason(Get("job-0").status()), "STORE_DAMAGED");
  EXPECT_TRUE(absl::IsDataLoss(Get("job-0").status()));
  const std::string page = HttpGet(metrics, "/metrics");
  EXPECT_EQ(page.find("\nlikeness_damaged_pages 0\n"), std::string::npos) << "counted";
  std::set<std::string> readable;
  for (int i = 0; i < kJobs; ++i) {
    if (Get(absl::StrCat("job-", i)).ok()) readable.insert(absl::StrCat("job-", i));
  }
  // Pages hold a few jobs each.
  EXPECT_GE(readable.size(), kJobs / 2u);
  EXPECT_LT(readable.size(), size_t{kJobs});
  std::set<std::string> listed;
  grpc::ClientContext context;
  v1::ListJobsRequest list;
  list.set_page_size(100);
  v1::ListJobsResponse jobs;
  const auto status = FromGrpcStatus(jobs_->ListJobs(&context, list, &jobs));
  EXPECT_TRUE(status.ok()) << status;
  for (const v1::Job& job : jobs.jobs()) listed.insert(ParseJobName(job.name())->id);
  EXPECT_EQ(listed, readable);
  // Work goes on: those that cannot be read are passed over, and so are those on the page beside,
  // whose records cannot grow without the damaged one.
  EXPECT_TRUE(Create("another").ok());
  std::set<std::string> done;
  while (true) {
    const auto lease = worker_.Acquire(absl::ZeroDuration());
    if (!lease.ok()) break;
    done.insert(ParseJobName(lease->job().name())->id);
    EXPECT_TRUE(worker_.Complete(lease->lease_token()).ok());
  }
  EXPECT_EQ(done.count("another"), 1u);
  EXPECT_GT(done.size(), readable.size() / 2);
  for (const std::string& id : readable) EXPECT_TRUE(Get(id).ok()) << id;
}

TEST_F(DamageTest, DatabaseThatIsGoneOrCutIsNamedAtTheStart) {
  StartServer();
  ASSERT_TRUE(Create("job").ok());
  Kill();
  StartServer();  // brings all from the log into the database
  Kill();
  for (const char* rest : {"-wal", "-shm"}) std::filesystem::remove(store_ + rest);
  for (const uintmax_t left : {uintmax_t{50'000}, uintmax_t{5000}, uintmax_t{0}}) {
    std::filesystem::resize_file(store_, left);
    auto options = TestOptions(data_);
    const auto status = server::Server::Start(options).status();
    EXPECT_EQ(ErrorReason(status), "STORE_DAMAGED") << status;
    EXPECT_THAT(std::string(status.message()), ::testing::HasSubstr("jobs.sqlite"));
  }
}

}  // namespace
}  // namespace likeness::testing

#include "server/jobs/sqlite/log_check.h"

#include <cstdint>
#include <filesystem>
#include <memory>

#include "absl/strings/str_cat.h"
#include "common/rpc_error.h"
#include "gtest/gtest.h"
#include "server/jobs/sqlite/database.h"
#include "server/jobs/sqlite/log_format.h"
#include "server/jobs/sqlite/opening.h"
#include "tests/support/disk_faults.h"
#include "tests/support/test_server.h"

namespace likeness::server {
namespace {

namespace fs = std::filesystem;

constexpr int kFrame = kFrameHeaderBytes + 4096;
constexpr int kRows = 6;

class LogCheckTest : public ::testing::Test {
 protected:
  void SetUp() override {
    database_ = *Database::Open(path_, Database::Mode::kWriter);
    ASSERT_TRUE(database_->Execute("CREATE TABLE texts (text TEXT)").ok());
  }

  // Each row is a transaction of its own.
  void AddRows(int rows) {
    for (int i = 0; i < rows; ++i) {
      const std::string text(3000, static_cast<char>('a' + i));
      ASSERT_TRUE(database_->Prepare("INSERT INTO texts VALUES (?)").Bind(text).Run().ok());
    }
  }

  // The files as a process that is killed now leaves them.
  void Kill() {
    for (const char* file : {"", "-wal"}) {
      fs::copy_file(path_ + file, left_ + file, fs::copy_options::overwrite_existing);
    }
    fs::remove(left_ + "-shm");
  }

  // How many rows the next process finds.
  absl::StatusOr<int64_t> RowsFound() const {
    auto opened = OpenForWriting(left_);
    if (!opened.ok()) return opened.status();
    Query query = (*opened)->Prepare("SELECT COUNT(*) FROM texts");
    if (auto stepped = query.Step(); !stepped.ok()) return stepped.status();
    return query.Integer(0);
  }

  int64_t LogBytes() const { return static_cast<int64_t>(fs::file_size(left_ + "-wal")); }

  likeness::testing::TempFolder folder_;
  const std::string path_ = folder_.path() + "/jobs.sqlite";
  const std::string left_ = folder_.path() + "/left.sqlite";
  std::unique_ptr<Database> database_;
};

TEST_F(LogCheckTest, FlippedBitInFrontOfLaterCommitsIsDamage) {
  AddRows(kRows);
  Kill();
  const int64_t size = LogBytes();
  const int64_t last = (size - kLogHeaderBytes) / kFrame * kFrame + kLogHeaderBytes - kFrame;
  int refused = 0, left_out = 0;
  for (int64_t at = 0; at < size; at += 251) {
    Kill();
    likeness::testing::FlipBit(left_ + "-wal", at, static_cast<int>(at % 8));
    const auto rows = RowsFound();
    if (!rows.ok()) {
      EXPECT_EQ(ErrorReason(rows.status()), "STORE_DAMAGED") << rows.status();
      ++refused;
    } else if (*rows != kRows) {
      EXPECT_EQ(*rows, kRows - 1) << at;  // the last one, which may have been under way
      EXPECT_GE(at, last - 2 * kFrame) << at;
      ++left_out;
    }
  }
  EXPECT_GT(refused, 4 * left_out);
  EXPECT_GT(left_out, 0);
}

TEST_F(LogCheckTest, DamageSaysWhereItIsAndHowToGoOnWithoutTheRest) {
  AddRows(kRows);
  Kill();
  likeness::testing::FlipBit(left_ + "-wal", kLogHeaderBytes + 4 * kFrame + 100);
  const auto rows = RowsFound();
  EXPECT_NE(rows.status().message().find("frame 5 of"), std::string::npos) << rows.status();
  const int64_t end = kLogHeaderBytes + 4 * kFrame;
  EXPECT_NE(rows.status().message().find(absl::StrCat(end, " bytes")), std::string::npos)
      << rows.status();
  fs::resize_file(left_ + "-wal", static_cast<uintmax_t>(end));
  const auto others = RowsFound();
  ASSERT_TRUE(others.ok()) << others.status();
  EXPECT_LT(*others, kRows);
}

TEST_F(LogCheckTest, LogThatWasCutShortIsNoDamage) {
  AddRows(kRows);
  Kill();
  for (int64_t left = LogBytes() - 1; left > kLogHeaderBytes; left -= 1500) {
    Kill();
    fs::resize_file(left_ + "-wal", static_cast<uintmax_t>(left));
    EXPECT_TRUE(CheckLog(left_).ok()) << left;
  }
}

// A log is begun anew at its start, over what it held before.
TEST_F(LogCheckTest, RemainsOfAnEarlierLogAreNoDamage) {
  AddRows(kRows);
  ASSERT_TRUE(database_->Execute("PRAGMA wal_checkpoint(RESTART)").ok());
  for (int rows = kRows + 1; rows < kRows + 4; ++rows) {
    AddRows(1);
    Kill();
    const auto found = RowsFound();
    ASSERT_TRUE(found.ok()) << found.status();
    EXPECT_EQ(*found, rows);
  }
}

}  // namespace
}  // namespace likeness::server

#include "server/jobs/sqlite/writer.h"

#include <future>
#include <optional>
#include <thread>
#include <vector>

#include "gtest/gtest.h"
#include "server/jobs/sqlite/schema.h"
#include "tests/support/test_server.h"

namespace likeness::server {
namespace {

// Parts that come while the writer is held up go into one batch, in the order of Add.
class WriterTest : public ::testing::Test {
 protected:
  WriterTest() {
    auto database = *Database::Open(path_, Database::Mode::kWriter);
    EXPECT_TRUE(PrepareSchema(*database).ok());
    EXPECT_TRUE(database->Execute("CREATE TABLE numbers (number INTEGER PRIMARY KEY)").ok());
    clock_.emplace(*StoreClock::Open(*database, fake_clock_));
    writer_ = std::make_unique<Writer>(
        std::move(database), *clock_, /*last_commit=*/0,
        [this](const JobChange& change) { heard_.push_back(change.name); });
    holder_ = std::thread([this] {
      (void)writer_->Run([this](Transaction&) {
        held_.set_value();
        release_.get_future().wait();
        return absl::OkStatus();
      });
    });
    held_.get_future().wait();
  }

  static absl::Status Insert(Transaction& transaction, int number) {
    transaction.changes.push_back({.name = std::to_string(number)});
    return transaction.database.Prepare("INSERT INTO numbers VALUES (?)").Bind(number).Run();
  }

  void Add(absl::Status& status, std::function<absl::Status(Transaction&)> work) {
    parts_.emplace_back([this, &status, work] { status = writer_->Run(work); });
    while (writer_->queued() < parts_.size()) std::this_thread::yield();
  }

  // Once all that was added is done.
  std::vector<int64_t> Numbers() {
    release_.set_value();
    holder_.join();
    for (auto& part : parts_) part.join();
    writer_.reset();
    auto database = *Database::Open(path_, Database::Mode::kReader);
    Query query = database->Prepare("SELECT number FROM numbers ORDER BY number");
    std::vector<int64_t> numbers;
    while (*query.Step()) numbers.push_back(query.Integer(0));
    return numbers;
  }

  likeness::testing::TempFolder folder_;
  const std::string path_ = folder_.path() + "/numbers.sqlite";
  std::vector<std::string> heard_;
  FakeClock fake_clock_;
  std::optional<StoreClock> clock_;
  std::unique_ptr<Writer> writer_;
  std::promise<void> held_;
  std::promise<void> release_;
  std::thread holder_;
  std::vector<std::thread> parts_;
};

TEST_F(WriterTest, PartThatFailsAfterWritingLeavesNothingAndTheOthersAreKept) {
  absl::Status first, failing, last;
  int runs = 0;
  Add(first, [&](Transaction& transaction) {
    ++runs;
    return Insert(transaction, 1);
  });
  Add(failing, [](Transaction& transaction) {
    EXPECT_TRUE(Insert(transaction, 2).ok());
    return absl::AbortedError("on second thoughts");
  });
  Add(last, [](Transaction& transaction) { return Insert(transaction, 3); });
  EXPECT_EQ(Numbers(), (std::vector<int64_t>{1, 3}));
  EXPECT_EQ(runs, 2) << "the batch was undone once";
  EXPECT_TRUE(first.ok()) << first;
  EXPECT_TRUE(absl::IsAborted(failing)) << failing;
  EXPECT_TRUE(last.ok()) << last;
  EXPECT_EQ(heard_, (std::vector<std::string>{"1", "3"}));
}

TEST_F(WriterTest, PartThatFailsBeforeWritingCostsTheOthersNothing) {
  absl::Status first, failing, last;
  int runs = 0;
  Add(first, [&](Transaction& transaction) {
    ++runs;
    return Insert(transaction, 1);
  });
  Add(failing, [](Transaction&) { return absl::NotFoundError("no such job"); });
  Add(last, [](Transaction& transaction) { return Insert(transaction, 3); });
  EXPECT_EQ(Numbers(), (std::vector<int64_t>{1, 3}));
  EXPECT_EQ(runs, 1);
  EXPECT_TRUE(absl::IsNotFound(failing)) << failing;
}

}  // namespace
}  // namespace likeness::server

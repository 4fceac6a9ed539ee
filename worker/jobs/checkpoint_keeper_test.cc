#include "worker/jobs/checkpoint_keeper.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <map>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/synchronization/notification.h"
#include "worker/base/error.h"
#include "worker/base/io/temp_dir.h"
#include "worker/support/resident_memory.h"
#include "worker/training/checkpoint_contents.h"

namespace likeness {
namespace {

namespace fs = std::filesystem;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

class KeepingEnvironment : public JobEnvironment {
 public:
  const fs::path& scratch() const override { return dir_.path(); }
  void FetchBlob(const std::string&, const fs::path&, const OnBytes&) override {}
  void Keep(const fs::path&, const v1::Output&, const OnBytes&) override {}
  void Resolved(const v1::ResolvedSpec&) override {}
  void Warn(const std::string& text) override { warnings.push_back(text); }
  void Report(const v1::Progress&) override {}
  void Show(const v1::SampleEvent&, const fs::path&) override {}
  StopReason Stop() override { return stop; }
  void SaveCheckpoint(int64_t step, const fs::path& file) override {
    if (gate != nullptr) gate->WaitForNotification();
    if (fails) throw Error(ErrorKind::kDiskFull, "the disk is full");
    const auto weight = SafetensorsFile::Open(file).Get("weight");
    saved.emplace_back(step, weight.item<float>());
    saved_on_another_thread = std::this_thread::get_id() != job_thread_;
    fs::remove(file);
  }

  std::vector<std::string> warnings;
  std::atomic<StopReason> stop = StopReason::kNone;
  absl::Notification* gate = nullptr;  // until which nothing is saved
  bool fails = false;
  std::vector<std::pair<int64_t, float>> saved;  // steps, and the weight of each
  bool saved_on_another_thread = false;

 private:
  const std::thread::id job_thread_ = std::this_thread::get_id();
  TempDir dir_;
};

class CheckpointKeeperTest : public testing::Test {
 protected:
  void Start(CheckpointPolicy policy) {
    policy.clock = [this] { return now_.load(); };
    keeper_.emplace(environment_, std::move(policy));
    keeper_->Begin();
  }
  bool Save(int64_t step, CheckpointReason reason = CheckpointReason::kInterval) {
    return keeper_->Save(step, reason, {{{"weight", weight_}}}, "");
  }
  void End() { keeper_.reset(); }
  bool NoFilesAreLeft() { return fs::is_empty(environment_.scratch()); }

  KeepingEnvironment environment_;
  torch::Tensor weight_ = torch::zeros(1);
  std::atomic<double> now_ = 0;
  std::optional<CheckpointKeeper> keeper_;
};

TEST_F(CheckpointKeeperTest, WhatIsWrittenBesideTrainingIsTheStateOfItsStep) {
  absl::Notification gate;
  environment_.gate = &gate;
  Start({});
  EXPECT_TRUE(Save(1));
  weight_.fill_(2);  // the next step
  EXPECT_THAT(environment_.saved, IsEmpty());
  gate.Notify();
  End();
  EXPECT_THAT(environment_.saved, ElementsAre(std::pair(1, 0.F)));
  EXPECT_TRUE(environment_.saved_on_another_thread);
  EXPECT_TRUE(NoFilesAreLeft());
}

TEST_F(CheckpointKeeperTest, WhereMemoryHasNoRoomForACopyItIsWrittenBeforeTrainingGoesOn) {
  Start({.has_room = [](int64_t bytes) { return bytes < 4; }});
  EXPECT_TRUE(Save(1));
  EXPECT_EQ(environment_.saved.size(), 1u);
  EXPECT_FALSE(environment_.saved_on_another_thread);
}

TEST_F(CheckpointKeeperTest, WhenTheJobIsToStopItIsWrittenAfterTheOneUnderWay) {
  Start({});
  EXPECT_TRUE(Save(1));
  EXPECT_TRUE(Save(2, CheckpointReason::kStop));
  ASSERT_EQ(environment_.saved.size(), 2u);
  EXPECT_EQ(environment_.saved.back().first, 2);
  EXPECT_FALSE(environment_.saved_on_another_thread);
}

TEST_F(CheckpointKeeperTest, OfAnIntervalThatIsNotAskedForOneIsLeftOutWhileAnotherIsWritten) {
  absl::Notification gate;
  environment_.gate = &gate;
  Start({.most_share = 0.03});
  now_ = 1000;
  EXPECT_TRUE(Save(1));
  EXPECT_FALSE(Save(2));
  gate.Notify();
  EXPECT_TRUE(Save(3, CheckpointReason::kLast)) << "it waits for its turn";
  End();
  EXPECT_THAT(environment_.saved, ElementsAre(std::pair(1, 0.F), std::pair(3, 0.F)));
}

TEST_F(CheckpointKeeperTest, EveryOneOfAnIntervalThatIsAskedForIsWritten) {
  Start({});
  for (int64_t step = 1; step <= 4; ++step) EXPECT_TRUE(Save(step));
  End();
  EXPECT_EQ(environment_.saved.size(), 4u);
}

TEST_F(CheckpointKeeperTest, TheyTakeTheirShareOfTheTrainingTimeAtMost) {
  // One takes two seconds.
  Start({.most_share = 0.03, .has_room = [this](int64_t) {
           now_ = now_ + 2;
           return false;
         }});
  now_ = 1;
  EXPECT_TRUE(Save(0)) << "so small that it is tried";
  std::vector<int64_t> steps;
  for (int64_t step = 1; step <= 100; ++step) {
    now_ = now_ + 5;
    if (Save(step)) steps.push_back(step);
    EXPECT_LE(keeper_->seconds(), 0.03 * now_ + 4) << step;
  }
  EXPECT_TRUE(Save(101, CheckpointReason::kLast));
  EXPECT_LE(keeper_->seconds(), 0.03 * now_);
  EXPECT_GE(steps.size(), 5u);
  EXPECT_EQ(environment_.saved.size(), steps.size() + 2);
}

TEST_F(CheckpointKeeperTest, BeforeOneIsMeasuredItsSizeSaysWhatItTakes) {
  weight_ = torch::zeros(1).expand({250'000'000});  // as a gigabyte of file
  Start({.most_share = 0.03});
  now_ = 60;
  EXPECT_FALSE(Save(1)) << "two seconds of sixty";
  EXPECT_THAT(environment_.saved, IsEmpty());
}

TEST_F(CheckpointKeeperTest, OneThatCannotBeWrittenCostsAWarningAlone) {
  environment_.fails = true;
  Start({});
  EXPECT_TRUE(Save(1));
  EXPECT_FALSE(Save(2, CheckpointReason::kStop));
  End();
  EXPECT_THAT(environment_.warnings, testing::Each(HasSubstr("the disk is full")));
  EXPECT_EQ(environment_.warnings.size(), 2u);
  EXPECT_TRUE(NoFilesAreLeft());
}

TEST_F(CheckpointKeeperTest, OneThatFailedIsWrittenAgainWhereTheJobIsToStopAndOneThatIsSafeIsNot) {
  environment_.fails = true;
  Start({});
  EXPECT_TRUE(Save(1));
  EXPECT_FALSE(Save(1, CheckpointReason::kStop));
  environment_.fails = false;
  EXPECT_TRUE(Save(1, CheckpointReason::kStop));
  EXPECT_TRUE(Save(1, CheckpointReason::kStop));
  EXPECT_EQ(environment_.saved.size(), 1u);
  EXPECT_TRUE(Save(2));
  EXPECT_TRUE(Save(2, CheckpointReason::kStop));
  EXPECT_EQ(environment_.saved.size(), 2u);
}

TEST_F(CheckpointKeeperTest, ACancelledJobsCheckpointIsGivenUpWithoutAWord) {
  environment_.stop = StopReason::kCancel;
  Start({});
  EXPECT_TRUE(Save(1));
  End();
  EXPECT_THAT(environment_.saved, IsEmpty());
  EXPECT_THAT(environment_.warnings, IsEmpty());
  EXPECT_TRUE(NoFilesAreLeft());
}

TEST(CheckpointPolicyTest, AnIntervalThatIsAskedForIsKeptTo) {
  v1::Training asked;
  EXPECT_EQ(CheckpointPolicyOf(asked, /*trains_on_cpu=*/true).most_share, 0.03);
  EXPECT_TRUE(CheckpointPolicyOf(asked, true).writing_slows_training);
  EXPECT_FALSE(CheckpointPolicyOf(asked, false).writing_slows_training);
  asked.set_checkpoint_every_steps(100);
  EXPECT_EQ(CheckpointPolicyOf(asked, true).most_share, 0);
}

TEST(CheckpointPolicyTest, ACopyNeedsRoomInTheHostsMemory) {
  v1::Training asked;
  EXPECT_TRUE(CheckpointPolicyOf(asked, true).has_room(1));
  EXPECT_FALSE(CheckpointPolicyOf(asked, true).has_room(int64_t{1} << 60));
  EXPECT_GT(ReadAvailableMemory(), 1 << 20);
  asked.set_memory_budget_bytes(int64_t{1} << 40);
  EXPECT_FALSE(CheckpointPolicyOf(asked, true).has_room(1));
  EXPECT_TRUE(CheckpointPolicyOf(asked, false).has_room(1)) << "it is of the GPU's memory";
}

}  // namespace
}  // namespace likeness

#include "worker/commands/offline_environment.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <fstream>
#include <string>

#include "worker/base/error.h"
#include "worker/base/io/temp_dir.h"
#include "worker/commands/offline_job.h"
#include "worker/support/files.h"

namespace likeness {
namespace {

namespace fs = std::filesystem;

class OfflineEnvironmentTest : public testing::Test {
 protected:
  fs::path Written(const std::string& bytes) {
    const fs::path file = environment_.scratch() / "checkpoint";
    WriteFile(file, bytes);
    return file;
  }
  std::string Fetched() {
    const fs::path file = environment_.scratch() / "fetched";
    fs::remove(file);
    environment_.FetchBlob(environment_.LatestCheckpoint()->blob(), file, {});
    return ReadFile(file);
  }

  TempDir dir_;
  Shutdown shutdown_;
  OfflineEnvironment environment_{dir_.path(), {}, "a job", shutdown_};
};

TEST_F(OfflineEnvironmentTest, KilledAtAnyMomentItLeavesACheckpoint) {
  environment_.SaveCheckpoint(0, Written("0"));
  for (int round = 1; round <= 20; ++round) {
    const pid_t child = fork();
    if (child == 0) {
      for (int64_t step = 1;; ++step)
        environment_.SaveCheckpoint(step, Written(std::to_string(step)));
    }
    usleep(1000 * round);
    kill(child, SIGKILL);
    waitpid(child, nullptr, 0);
    const auto left = environment_.LatestCheckpoint();
    ASSERT_TRUE(left.has_value()) << round;
    EXPECT_EQ(Fetched(), std::to_string(left->step()));
  }
}

TEST_F(OfflineEnvironmentTest, TheLastCheckpointAloneIsKept) {
  environment_.SaveCheckpoint(1, Written("first"));
  environment_.SaveCheckpoint(2, Written("second"));
  EXPECT_EQ(Fetched(), "second");
  EXPECT_FALSE(fs::exists(dir_.path() / "checkpoint-1.safetensors"));
  environment_.ForgetCheckpoint();
  EXPECT_FALSE(fs::exists(dir_.path() / "checkpoint-2.safetensors"));
  EXPECT_FALSE(environment_.LatestCheckpoint().has_value());
}

TEST_F(OfflineEnvironmentTest, ACheckpointOfAnotherJobIsNotGoneOnFrom) {
  environment_.SaveCheckpoint(1, Written("first"));
  const OfflineEnvironment same(dir_.path(), {}, "a job", shutdown_);
  EXPECT_EQ(same.LatestCheckpoint()->step(), 1);
  const OfflineEnvironment other(dir_.path(), {}, "another", shutdown_);
  try {
    other.LatestCheckpoint();
    ADD_FAILURE() << "it would go on from there";
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kFailedPrecondition);
    EXPECT_THAT(error.what(), testing::HasSubstr("checkpoint.json"));
  }
}

TEST_F(OfflineEnvironmentTest, JobsThatDifferInAnythingHaveOtherDigests) {
  v1::Job job;
  job.mutable_fine_tune()->mutable_training()->set_steps(60);
  (*job.mutable_labels())["a"] = "1";
  (*job.mutable_labels())["b"] = "2";
  v1::Job same;
  (*same.mutable_labels())["b"] = "2";
  (*same.mutable_labels())["a"] = "1";
  same.mutable_fine_tune()->mutable_training()->set_steps(60);
  EXPECT_EQ(JobDigest(job), JobDigest(same));
  same.mutable_fine_tune()->mutable_training()->set_steps(61);
  EXPECT_NE(JobDigest(job), JobDigest(same));
}

TEST_F(OfflineEnvironmentTest, ADamagedCheckpointIsNotGoneOnFrom) {
  environment_.SaveCheckpoint(1, Written("first"));
  std::ofstream(dir_.path() / "checkpoint-1.safetensors") << "cut";
  EXPECT_THROW(Fetched(), Error);
}

}  // namespace
}  // namespace likeness

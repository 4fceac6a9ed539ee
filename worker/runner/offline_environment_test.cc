#include "worker/runner/offline_environment.h"

#include <gtest/gtest.h>

#include <fstream>

#include "worker/base/error.h"
#include "worker/runner/outputs.h"
#include "worker/weights/temp_dir.h"

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
    environment_.FetchBlob(environment_.LatestCheckpoint()->blob(), file, {});
    return ReadFile(file);
  }

  TempDir dir_;
  Shutdown shutdown_;
  OfflineEnvironment environment_{dir_.path(), {}, shutdown_};
};

TEST_F(OfflineEnvironmentTest, ACheckpointThatCannotBeKeptLeavesTheOneBefore) {
  environment_.SaveCheckpoint(1, Written("first"));
  EXPECT_THROW(environment_.SaveCheckpoint(2, environment_.scratch() / "never written"),
               fs::filesystem_error);
  ASSERT_TRUE(environment_.LatestCheckpoint().has_value());
  EXPECT_EQ(environment_.LatestCheckpoint()->step(), 1);
  EXPECT_EQ(Fetched(), "first");
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

TEST_F(OfflineEnvironmentTest, ADamagedCheckpointIsNotGoneOnFrom) {
  environment_.SaveCheckpoint(1, Written("first"));
  std::ofstream(dir_.path() / "checkpoint-1.safetensors") << "cut";
  EXPECT_THROW(Fetched(), Error);
}

}  // namespace
}  // namespace likeness

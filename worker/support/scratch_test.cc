#include "worker/support/scratch.h"

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <fstream>
#include <optional>

#include "common/ids.h"

namespace likeness {
namespace {

namespace fs = std::filesystem;

class ScratchTest : public testing::Test {
 protected:
  ~ScratchTest() override { fs::remove_all(root_); }
  const fs::path root_ = fs::temp_directory_path() / ("scratch-" + RandomId(16));
};

TEST_F(ScratchTest, GoesAwayWithItsOwner) {
  fs::path path;
  {
    const Scratch scratch(root_);
    path = scratch.path();
    std::ofstream(path / "file") << "x";
    Scratch::RemoveOrphans(root_);
    EXPECT_TRUE(fs::exists(path / "file")) << "its owner lives";
  }
  EXPECT_FALSE(fs::exists(path));
}

TEST_F(ScratchTest, WhatAKilledOwnerLeftIsRemoved) {
  int ready[2];
  ASSERT_EQ(pipe(ready), 0);
  const pid_t child = fork();
  if (child == 0) {
    const Scratch scratch(root_);
    std::ofstream(scratch.path() / "checkpoint") << "x";
    (void)!write(ready[1], "x", 1);
    pause();
  }
  char byte = 0;
  ASSERT_EQ(read(ready[0], &byte, 1), 1);
  kill(child, SIGKILL);
  waitpid(child, nullptr, 0);
  EXPECT_FALSE(fs::is_empty(root_));
  Scratch::RemoveOrphans(root_);
  EXPECT_TRUE(fs::is_empty(root_));
}

TEST_F(ScratchTest, ADirectoryThatCannotBeMadeIsAnError) {
  fs::create_directories(root_);
  std::ofstream(root_ / "file") << "x";
  EXPECT_THROW(Scratch(root_ / "file"), fs::filesystem_error);
}

}  // namespace
}  // namespace likeness

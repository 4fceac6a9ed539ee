#include "worker/checkpoints/model_digest.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <chrono>
#include <fstream>
#include <sstream>
#include <string>

#include "worker/base/io/json_file.h"
#include "worker/base/io/temp_dir.h"

namespace likeness {
namespace {

namespace fs = std::filesystem;

class DigestMemoryTest : public testing::Test {
 protected:
  // A large file that was written a while ago.
  fs::path Old(const std::string& name, char letter) {
    const auto path = temp_.path() / name;
    std::ofstream(path) << std::string(2 << 20, letter);
    fs::last_write_time(path, fs::last_write_time(path) - std::chrono::minutes(1));
    return path;
  }
  static std::string Identity(const fs::path& path) {
    struct stat status = {};
    stat(path.c_str(), &status);
    std::ostringstream text;
    text << status.st_dev << ' ' << status.st_ino << ' ' << status.st_size << ' '
         << status.st_mtim.tv_sec << ' ' << status.st_mtim.tv_nsec;
    return text.str();
  }
  fs::path memory() const { return temp_.path() / "cache/digests.json"; }

  TempDir temp_;
};

TEST_F(DigestMemoryTest, WhatOneProcessReadTheNextOneKnows) {
  RememberDigestsIn(memory());
  const auto file = Old("a", 'a');
  const auto digest = DigestOfFile(file);
  const auto remembered = ReadJsonFile(memory());
  ASSERT_TRUE(remembered.contains(Identity(file))) << remembered;
  EXPECT_EQ(remembered[Identity(file)], digest);

  // That it is not read again shows by what no reading would find.
  const auto other = Old("b", 'b');
  const std::string made_up(64, '5');
  WriteJsonFile(memory(), {{Identity(other), made_up}, {"1 2", made_up}, {"1 2 3 4 5", 6}});
  RememberDigestsIn(memory());
  EXPECT_EQ(DigestOfFile(other), made_up);
  fs::last_write_time(other, fs::last_write_time(other) + std::chrono::seconds(1));
  EXPECT_NE(DigestOfFile(other), made_up) << "it has changed since";
}

TEST_F(DigestMemoryTest, FilesThatMayStillChangeWithinTheirTimeAreNotRemembered) {
  RememberDigestsIn(memory());
  std::ofstream(temp_.path() / "new") << std::string(2 << 20, 'n');
  DigestOfFile(temp_.path() / "new");
  EXPECT_FALSE(fs::exists(memory()));
  fs::create_directories(memory());  // cannot be written
  EXPECT_EQ(DigestOfFile(Old("c", 'c')).size(), 64u);
}

}  // namespace
}  // namespace likeness

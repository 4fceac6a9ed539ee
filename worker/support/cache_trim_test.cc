#include "worker/support/cache_trim.h"

#include <gtest/gtest.h>

#include <chrono>
#include <fstream>

#include "common/ids.h"

namespace likeness {
namespace {

namespace fs = std::filesystem;

class CacheTrimTest : public testing::Test {
 protected:
  CacheTrimTest() { fs::create_directories(root_ / "blobs"); }
  ~CacheTrimTest() override { fs::remove_all(root_); }

  void Blob(const std::string& name, size_t bytes) {
    std::ofstream(root_ / "blobs" / name) << std::string(bytes, 'x');
  }
  // An entry of hard links to blobs.
  void Entry(const std::string& name, const std::vector<std::string>& blobs, int hours_unused) {
    const fs::path directory = root_ / "models" / name;
    fs::create_directories(directory / "unet");
    for (const auto& blob : blobs) {
      fs::create_hard_link(root_ / "blobs" / blob, directory / "unet" / blob);
    }
    fs::last_write_time(directory,
                        fs::file_time_type::clock::now() - std::chrono::hours(hours_unused));
  }
  void Trim(int64_t most_bytes) { TrimCache(root_ / "models", most_bytes, root_ / "blobs"); }
  bool Has(const std::string& path) const { return fs::exists(root_ / path); }

  const fs::path root_ = fs::temp_directory_path() / ("cache-" + RandomId(16));
};

TEST_F(CacheTrimTest, WhatIsLongestUnusedGoesUntilTheRestFits) {
  for (const char* blob : {"shared", "a", "b", "c"}) Blob(blob, 100);
  Entry("a", {"shared", "a"}, 4);
  Entry("b", {"shared", "b"}, 3);
  Entry("c", {"shared", "c"}, 2);
  Trim(400);  // what they share counts once
  EXPECT_TRUE(Has("models/a"));
  Trim(300);
  EXPECT_FALSE(Has("models/a"));
  EXPECT_FALSE(Has("blobs/a"));
  EXPECT_TRUE(Has("models/b/unet/shared"));
  EXPECT_TRUE(Has("blobs/shared"));
  Touch(root_ / "models/b");
  Trim(200);
  EXPECT_TRUE(Has("models/b/unet/b"));
  EXPECT_FALSE(Has("models/c"));
  EXPECT_EQ(std::distance(fs::directory_iterator(root_ / "models"), fs::directory_iterator()), 1);
}

TEST_F(CacheTrimTest, WhatIsInUseStaysThoughItBeTooMuch) {
  Blob("a", 100);
  Entry("a", {"a"}, 0);
  Trim(10);
  EXPECT_TRUE(Has("models/a/unet/a"));
}

TEST_F(CacheTrimTest, ACacheThatIsNotThereIsNoError) { TrimCache(root_ / "none", 10); }

}  // namespace
}  // namespace likeness

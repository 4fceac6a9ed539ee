#include "server/maintenance/scrub.h"

#include <filesystem>
#include <fstream>

#include "common/clock.h"
#include "common/rpc_error.h"
#include "gtest/gtest.h"
#include "server/blobs/filesystem/filesystem_blob_store.h"
#include "tests/support/test_server.h"

namespace likeness::server {
namespace {

class ScrubTest : public ::testing::Test {
 protected:
  void FlipBit(const BlobName& name) {
    const std::string path =
        folder_.path() + "/default/" + name.sha256.substr(0, 2) + "/" + name.sha256;
    std::fstream file(path, std::ios::in | std::ios::out | std::ios::binary);
    file.seekg(0, std::ios::end);
    const auto middle = file.tellg() / 2;
    file.seekg(middle);
    const char byte = static_cast<char>(file.get() ^ 1);
    file.seekp(middle);
    file.put(byte);
  }

  FakeClock clock_;
  likeness::testing::TempFolder folder_;
  std::unique_ptr<BlobStore> blobs_ = *FilesystemBlobStore::Open(folder_.path(), 16 << 20, clock_);
};

TEST_F(ScrubTest, OneFlippedBitIsFoundAndTheRestStays) {
  const auto large = *blobs_->Put("default", std::string(3 << 20, 'x'));
  const auto small = *blobs_->Put("default", "small");
  const auto empty = *blobs_->Put("default", "");
  FlipBit(large);
  const auto first = ScrubBlobs(*blobs_, {});
  ASSERT_TRUE(first.ok()) << first.status();
  EXPECT_EQ(first->blobs, 3);
  EXPECT_EQ(first->damaged, std::vector<BlobName>{large});
  EXPECT_TRUE(absl::IsDataLoss(blobs_->Open(large).status()));
  EXPECT_TRUE(blobs_->Open(small).ok());
  EXPECT_TRUE(blobs_->Open(empty).ok());
  EXPECT_TRUE(ScrubBlobs(*blobs_, {})->damaged.empty()) << "it is set aside";
}

TEST_F(ScrubTest, GoesOnWhereItWasStopped) {
  for (int i = 0; i < 10; ++i) (void)blobs_->Put("default", std::string(i + 1, 'x'));
  std::vector<std::string> read;
  ScrubOptions options;
  options.done = [&](const BlobName& name, int64_t) { read.push_back(name.ToString()); };
  options.wait = [&](absl::Duration) { return read.size() < 4; };
  EXPECT_FALSE(ScrubBlobs(*blobs_, options)->complete);
  options.after = read.back();
  options.wait = [](absl::Duration) { return true; };
  EXPECT_TRUE(ScrubBlobs(*blobs_, options)->complete);
  EXPECT_EQ(read.size(), 10u);
  EXPECT_TRUE(std::is_sorted(read.begin(), read.end()));
}

TEST_F(ScrubTest, WaitsAsLongAsItsRateAsks) {
  (void)blobs_->Put("default", std::string(4 << 20, 'x'));
  absl::Duration waited;
  ScrubOptions options;
  options.bytes_per_second = 1 << 20;
  options.wait = [&](absl::Duration duration) {
    waited = duration;  // nobody sleeps here, so what is due grows
    return true;
  };
  ASSERT_TRUE(ScrubBlobs(*blobs_, options).ok());
  EXPECT_GT(waited, absl::Seconds(3));
  EXPECT_LE(waited, absl::Seconds(4));
}

}  // namespace
}  // namespace likeness::server

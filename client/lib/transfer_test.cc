// Uploads and downloads over connections that break.
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <chrono>
#include <filesystem>
#include <thread>

#include "client/lib/download.h"
#include "client/lib/upload.h"
#include "client/testing/scripted_server.h"
#include "client/testing/temp_folder.h"
#include "common/digest.h"
#include "common/rpc_error.h"
#include "gmock/gmock.h"

namespace likeness::client {
namespace {

using ::testing::ElementsAre;

constexpr BackoffOptions kImpatient{.first = absl::Milliseconds(1),
                                    .longest = absl::Milliseconds(5),
                                    .give_up_after = absl::Seconds(20)};

std::string Bytes(size_t count) {
  std::string bytes(count, '\0');
  for (size_t i = 0; i < count; ++i) bytes[i] = static_cast<char>(i * 131 + i / 256);
  return bytes;
}

class DownloadTest : public testing::Test {
 protected:
  DownloadTest() : blob_(AddBlob(script_, bytes_)), path_(folder_.path() / "a" / "b.png") {}

  absl::Status Download() {
    server_ = std::make_unique<ScriptedServer>(script_);
    return DownloadBlob(Connection(server_->address()), blob_, path_, {}, kImpatient);
  }

  const std::string bytes_ = Bytes(5500);
  Script script_;
  std::string blob_;
  TempFolder folder_;
  std::filesystem::path path_;
  std::unique_ptr<ScriptedServer> server_;
};

TEST_F(DownloadTest, GoesOnWhereItWasCut) {
  script_.cut_transfers_after = 2000;
  ASSERT_TRUE(Download().ok());
  EXPECT_EQ(ReadFile(path_), bytes_);
  EXPECT_THAT(server_->record().read_offsets, ElementsAre(0, 2000));
  EXPECT_FALSE(std::filesystem::exists(path_.string() + ".part"));
}

TEST_F(DownloadTest, GoesOnWithWhatAnEarlierRunLeft) {
  WriteFile(path_.string() + ".part", bytes_.substr(0, 3000));
  ASSERT_TRUE(Download().ok());
  EXPECT_EQ(ReadFile(path_), bytes_);
  EXPECT_THAT(server_->record().read_offsets, ElementsAre(3000));
}

TEST_F(DownloadTest, LeavesAFileAloneThatIsThere) {
  WriteFile(path_, bytes_);
  ASSERT_TRUE(Download().ok());
  EXPECT_THAT(server_->record().read_offsets, ElementsAre());
}

TEST_F(DownloadTest, WaitsForAnotherThatWritesToTheSameFile) {
  const std::string part = path_.string() + ".part";
  WriteFile(part, bytes_.substr(0, 3000));
  const int other = open(part.c_str(), O_WRONLY);
  ASSERT_EQ(flock(other, LOCK_EX), 0);
  std::jthread ends([&] {
    std::this_thread::sleep_for(std::chrono::milliseconds(300));
    WriteFile(path_, bytes_);
    std::filesystem::remove(part);
    close(other);
  });
  ASSERT_TRUE(Download().ok());
  EXPECT_EQ(ReadFile(path_), bytes_);
  EXPECT_THAT(server_->record().read_offsets, ElementsAre());
  EXPECT_FALSE(std::filesystem::exists(part));
}

TEST_F(DownloadTest, NeverShowsAFileOfTheWrongDigest) {
  script_.blobs.begin()->second[7] ^= 1;
  auto status = Download();
  EXPECT_EQ(status.code(), absl::StatusCode::kDataLoss);
  EXPECT_FALSE(std::filesystem::exists(path_));
  EXPECT_FALSE(std::filesystem::exists(path_.string() + ".part"));
}

TEST_F(DownloadTest, FollowsALinkToTheFile) {
  namespace fs = std::filesystem;
  fs::create_directories(path_.parent_path());
  fs::create_symlink("../kept.png", path_);
  for (const char* before : {"", "old"}) {  // the file is not there; it is
    if (*before != '\0') WriteFile(folder_.path() / "kept.png", before);
    ASSERT_TRUE(Download().ok());
    EXPECT_TRUE(fs::is_symlink(path_));
    EXPECT_EQ(ReadFile(folder_.path() / "kept.png"), bytes_);
  }
}

TEST_F(DownloadTest, WritesOverNothingThatIsNoFile) {
  namespace fs = std::filesystem;
  fs::create_directories(path_.parent_path());
  ASSERT_EQ(mkfifo(path_.c_str(), 0600), 0);
  fs::create_symlink("b.png", folder_.path() / "a" / "link.png");
  for (const fs::path& pipe : {path_, folder_.path() / "a" / "link.png"}) {
    const auto refused = WriteFileWhole(pipe, bytes_);
    EXPECT_EQ(refused.message(), "Cannot write " + pipe.string() + ": it is a pipe, not a file.");
    EXPECT_EQ(PlaceFor(pipe, "", Existing::kReplace).status(), refused);
  }
  EXPECT_FALSE(Download().ok());
  EXPECT_TRUE(fs::is_fifo(path_));
}

TEST(OutputFileTest, StaysInTheFolder) {
  EXPECT_EQ(*OutputFile("rex", "samples/0001.png"), "rex/samples/0001.png");
  for (const char* path : {"../x", "/etc/passwd", "a/../../x", "", ".", "a/"}) {
    EXPECT_EQ(OutputFile("rex", path).status().code(), absl::StatusCode::kInvalidArgument) << path;
  }
}

TEST(UploadTest, GoesOnAtWhatTheServerHas) {
  const auto bytes = Bytes(1'200'000);
  ScriptedServer server({.cut_transfers_after = 600'000});
  auto blob = UploadBlob(Connection(server.address()), "default", bytes, {}, kImpatient);
  ASSERT_TRUE(blob.ok()) << blob.status();
  EXPECT_EQ(*blob, "tenants/default/blobs/" + Sha256Hex(bytes));
  EXPECT_EQ(server.record().uploaded, bytes);
  ASSERT_EQ(server.record().write_offsets.size(), 2);
  EXPECT_GE(server.record().write_offsets[1], 600'000);
}

TEST(UploadTest, WaitsUntilTheServerNoticesThatTheCallBeforeBroke) {
  const auto busy = RpcError(absl::StatusCode::kAborted, "UPLOAD_IN_PROGRESS",
                             "another call is writing this upload");
  ScriptedServer server({.refusals = {{"Write", {busy, busy}}}});
  auto blob = UploadBlob(Connection(server.address()), "default", "bytes", {}, kImpatient);
  ASSERT_TRUE(blob.ok()) << blob.status();
  EXPECT_EQ(server.record().uploaded, "bytes");
}

TEST(UploadTest, SendsAnEmptyBlobToo) {
  ScriptedServer server({});
  auto blob = UploadBlob(Connection(server.address()), "default", "", {}, kImpatient);
  ASSERT_TRUE(blob.ok()) << blob.status();
  EXPECT_THAT(server.record().write_offsets, ElementsAre(0));
}

}  // namespace
}  // namespace likeness::client

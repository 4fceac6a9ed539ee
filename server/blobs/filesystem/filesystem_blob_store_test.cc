#include "server/blobs/filesystem/filesystem_blob_store.h"

#include <algorithm>
#include <filesystem>
#include <vector>

#include "common/digest.h"
#include "common/rpc_error.h"
#include "gtest/gtest.h"
#include "tests/support/test_server.h"

namespace likeness::server {
namespace {

class FilesystemBlobStoreTest : public ::testing::Test {
 protected:
  UploadName NameFor(const std::string& bytes, const std::string& uuid = "u1") {
    return {"default", uuid, Sha256Hex(bytes), static_cast<int64_t>(bytes.size())};
  }
  std::unique_ptr<FilesystemBlobStore> OpenStore() {
    return *FilesystemBlobStore::Open(folder_.path() + "/blobs", 1000, clock_);
  }

  likeness::testing::TempFolder folder_;
  FakeClock clock_;
  std::unique_ptr<FilesystemBlobStore> store_ = OpenStore();
};

TEST_F(FilesystemBlobStoreTest, WhatIsPutCanBeRead) {
  const auto name = store_->Put("default", "hello");
  auto blob = store_->Open(*name);
  EXPECT_EQ((*blob)->size(), 5);
  EXPECT_EQ(*(*blob)->Read(1, 3), "ell");
  EXPECT_EQ(*(*blob)->Read(9, 3), "");
  EXPECT_EQ(OpenStore()->total_bytes(), 5);
  EXPECT_EQ(OpenStore()->bytes_of("default"), 5);
}

TEST_F(FilesystemBlobStoreTest, RootMayBeRelativeToTheWorkingDirectory) {
  const auto before = std::filesystem::current_path();
  std::filesystem::current_path(folder_.path());
  EXPECT_TRUE(FilesystemBlobStore::Open("relative", 1000, clock_).ok());
  std::filesystem::current_path(before);
}

TEST_F(FilesystemBlobStoreTest, SameBytesAreStoredOnce) {
  EXPECT_EQ(*store_->Put("default", "hello"), *store_->Put("default", "hello"));
  EXPECT_EQ(store_->total_bytes(), 5);
}

TEST_F(FilesystemBlobStoreTest, UnfinishedUploadIsInvisibleAndKept) {
  const auto name = NameFor("hello");
  ASSERT_TRUE((*store_->Upload(name))->Append("hel").ok());
  store_ = OpenStore();
  EXPECT_EQ(ErrorReason(store_->Open(name.blob()).status()), "BLOB_NOT_FOUND");
  EXPECT_EQ(store_->QueryUpload(name)->committed_size, 3);
  auto upload = *store_->Upload(name);
  ASSERT_TRUE(upload->Append("lo").ok());
  ASSERT_TRUE(upload->Finish().ok());
  EXPECT_TRUE(store_->QueryUpload(name)->complete);
  EXPECT_EQ(*(*store_->Open(name.blob()))->Read(0, 10), "hello");
}

TEST_F(FilesystemBlobStoreTest, WrongBytesAreForgotten) {
  const auto name = NameFor("hello");
  {
    auto upload = *store_->Upload(name);
    ASSERT_TRUE(upload->Append("jello").ok());
    EXPECT_EQ(ErrorReason(upload->Finish()), "BLOB_DIGEST_MISMATCH");
  }
  EXPECT_EQ(ErrorReason(store_->QueryUpload(name).status()), "UPLOAD_NOT_FOUND");
}

TEST_F(FilesystemBlobStoreTest, SizesAreChecked) {
  auto upload = *store_->Upload(NameFor("hello"));
  EXPECT_EQ(ErrorReason(upload->Append("hello!")), "UPLOAD_TOO_LONG");
  EXPECT_EQ(ErrorReason(upload->Finish()), "UPLOAD_TOO_SHORT");
  EXPECT_EQ(ErrorReason(store_->Upload(NameFor(std::string(1001, 'x'))).status()),
            "BLOB_TOO_LARGE");
}

TEST_F(FilesystemBlobStoreTest, OneWriterAtATime) {
  auto first = *store_->Upload(NameFor("hello"));
  EXPECT_EQ(ErrorReason(store_->Upload(NameFor("hello")).status()), "UPLOAD_IN_PROGRESS");
  first.reset();
  EXPECT_TRUE(store_->Upload(NameFor("hello")).ok());
}

TEST_F(FilesystemBlobStoreTest, StaleUploadsAreDropped) {
  ASSERT_TRUE((*store_->Upload(NameFor("hello")))->Append("hel").ok());
  EXPECT_EQ(*store_->DropUploads(absl::Now() - absl::Hours(1)), 0);
  EXPECT_EQ(*store_->DropUploads(absl::Now() + absl::Hours(1)), 1);
}

absl::StatusOr<std::string> ReadAll(BlobStore& store, const BlobName& name) {
  auto blob = store.Open(name);
  if (!blob.ok()) return blob.status();
  return (*blob)->Read(0, (*blob)->size());
}

TEST_F(FilesystemBlobStoreTest, SweepRemovesWhatNothingNamesAndNobodyKept) {
  const auto named = *store_->Put("default", "named");
  const auto kept = *store_->Put("default", "kept");
  const auto old = *store_->Put("default", "old");
  clock_.Advance(absl::Hours(2));
  ASSERT_TRUE(store_->Keep(kept).ok());
  const auto fresh = *store_->Put("other", "fresh");
  const auto swept = store_->Sweep(clock_.Now() - absl::Hours(1),
                                   [&](const BlobName& name) { return name == named; });
  ASSERT_TRUE(swept.ok()) << swept.status();
  EXPECT_EQ(swept->blobs, 1);
  EXPECT_EQ(swept->bytes, 3);
  EXPECT_EQ(ErrorReason(store_->Open(old).status()), "BLOB_NOT_FOUND");
  EXPECT_EQ(ErrorReason(store_->Keep(old)), "BLOB_NOT_FOUND");
  for (const BlobName& name : {named, kept, fresh}) EXPECT_TRUE(store_->Open(name).ok());
  EXPECT_EQ(store_->total_bytes(), 14);
}

TEST_F(FilesystemBlobStoreTest, BlobThatIsKeptWhileASweepLooksAtItStays) {
  const auto name = *store_->Put("default", "hello");
  clock_.Advance(absl::Hours(2));
  const auto swept = store_->Sweep(clock_.Now() - absl::Hours(1), [&](const BlobName& looked_at) {
    EXPECT_TRUE(store_->Keep(looked_at).ok());
    return false;
  });
  EXPECT_EQ(swept->blobs, 0);
  EXPECT_TRUE(store_->Open(name).ok());
}

TEST_F(FilesystemBlobStoreTest, WhatIsUploadedAgainCountsAsKept) {
  const auto put = *store_->Put("default", "hello");
  const auto uploaded = *store_->Put("default", "world");
  clock_.Advance(absl::Hours(2));
  (void)store_->Put("default", "hello");
  EXPECT_TRUE((*store_->Upload(NameFor("world")))->complete());
  const auto swept =
      store_->Sweep(clock_.Now() - absl::Hours(1), [](const BlobName&) { return false; });
  EXPECT_EQ(swept->blobs, 0);
}

TEST_F(FilesystemBlobStoreTest, WhatWasKeptLastLongAgoGoesSooner) {
  const auto name = *store_->Put("default", "hello");
  store_->KeptLast(name, clock_.Now() + absl::Hours(1));  // never makes it stay longer
  store_->KeptLast(name, clock_.Now() - absl::Hours(2));
  const auto swept =
      store_->Sweep(clock_.Now() - absl::Hours(1), [](const BlobName&) { return false; });
  EXPECT_EQ(swept->blobs, 1);
}

TEST_F(FilesystemBlobStoreTest, NothingIsSweptWhileABackupRuns) {
  (void)store_->Put("default", "hello");
  clock_.Advance(absl::Hours(2));
  const auto backup =
      FileLock::Take(folder_.path() + "/blobs/.sweep", FileLock::Kind::kShared, false);
  const auto swept = store_->Sweep(clock_.Now(), [](const BlobName&) { return false; });
  EXPECT_EQ(ErrorReason(swept.status()), "BACKUP_RUNS");
}

TEST_F(FilesystemBlobStoreTest, DamagedBlobIsDataLossUntilItIsUploadedAgain) {
  const auto name = *store_->Put("default", "hello");
  const std::string path =
      folder_.path() + "/blobs/default/" + name.sha256.substr(0, 2) + "/" + name.sha256;
  {
    const auto file = File::OpenForWriting(path);
    ASSERT_TRUE(file->WriteAt(4, "\x6e").ok());  // one bit of the o
  }
  EXPECT_EQ(ErrorReason(ReadAll(*store_, name).status()), "BLOB_DAMAGED");
  const auto opened = store_->Open(name).status();
  EXPECT_TRUE(absl::IsDataLoss(opened)) << opened;
  EXPECT_EQ(store_->damaged(), 1);
  EXPECT_EQ(store_->total_bytes(), 0);
  EXPECT_EQ(ErrorReason(store_->Keep(name)), "BLOB_NOT_FOUND");  // so clients upload it again
  ASSERT_EQ(*store_->Put("default", "hello"), name);
  EXPECT_EQ(*ReadAll(*store_, name), "hello");
  EXPECT_EQ(store_->damaged(), 0);
}

TEST_F(FilesystemBlobStoreTest, BlobsAreVisitedInOrderFromAnyPlaceOn) {
  std::vector<std::string> all;
  for (int i = 0; i < 20; ++i) (void)store_->Put(i % 2 ? "a" : "b", std::string(i, 'x'));
  (void)store_->Visit("", [&](const BlobName& name) {
    all.push_back(name.ToString());
    return true;
  });
  EXPECT_EQ(all.size(), 20u);
  EXPECT_TRUE(std::is_sorted(all.begin(), all.end()));
  std::vector<std::string> rest;
  (void)store_->Visit(all[7], [&](const BlobName& name) {
    rest.push_back(name.ToString());
    return rest.size() < 5;
  });
  EXPECT_EQ(rest, std::vector<std::string>(all.begin() + 8, all.begin() + 13));
}

}  // namespace
}  // namespace likeness::server

#include "server/blobs/filesystem/filesystem_blob_store.h"

#include <filesystem>

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
    return *FilesystemBlobStore::Open(folder_.path() + "/blobs", 1000);
  }

  likeness::testing::TempFolder folder_;
  std::unique_ptr<FilesystemBlobStore> store_ = OpenStore();
};

TEST_F(FilesystemBlobStoreTest, WhatIsPutCanBeRead) {
  const auto name = store_->Put("default", "hello");
  auto blob = store_->Open(*name);
  EXPECT_EQ((*blob)->size(), 5);
  EXPECT_EQ(*(*blob)->Read(1, 3), "ell");
  EXPECT_EQ(*(*blob)->Read(9, 3), "");
  EXPECT_EQ(OpenStore()->total_bytes(), 5);
}

TEST_F(FilesystemBlobStoreTest, RootMayBeRelativeToTheWorkingDirectory) {
  const auto before = std::filesystem::current_path();
  std::filesystem::current_path(folder_.path());
  EXPECT_TRUE(FilesystemBlobStore::Open("relative", 1000).ok());
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

}  // namespace
}  // namespace likeness::server

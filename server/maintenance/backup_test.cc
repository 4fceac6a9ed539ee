#include "server/maintenance/backup.h"

#include <filesystem>
#include <memory>
#include <string>

#include "common/clock.h"
#include "common/job_spec.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "server/blobs/filesystem/filesystem_blob_store.h"
#include "server/blobs/filesystem/layout.h"
#include "server/data_directory.h"
#include "server/jobs/erasure.h"
#include "server/jobs/sqlite/sqlite_job_store.h"
#include "server/maintenance/restore_check.h"
#include "tests/support/test_server.h"

namespace likeness::server {
namespace {

class BackupTest : public ::testing::Test {
 protected:
  BackupTest() {
    std::filesystem::create_directories(data_);
    SqliteJobStoreOptions options;
    options.path = StorePath(data_);
    jobs_ = *SqliteJobStore::Open(options, clock_);
    blobs_ = *FilesystemBlobStore::Open(BlobsPath(data_), 1 << 20, clock_);
  }

  // A job of this tenant with this photo, which was cancelled.
  BlobName Create(const std::string& tenant, const std::string& photo) {
    const BlobName blob = *blobs_->Put(tenant, photo);
    NewJob job;
    job.job.set_name(JobName{tenant, "rex"}.ToString());
    job.job.mutable_fine_tune()->set_base_model("baseModels/mini");
    MutableSubjectOf(*job.job.mutable_fine_tune()).add_photos()->set_blob(blob.ToString());
    EXPECT_TRUE(jobs_->Create(job).ok());
    return blob;
  }

  Backup Make() {
    auto backup = MakeBackup({.data_dir = data_, .out = backup_});
    EXPECT_TRUE(backup.ok()) << backup.status();
    return backup.value_or(Backup());
  }

  bool Holds(const BlobName& blob) const {
    return std::filesystem::exists(BlobPath(BlobsPath(backup_), blob));
  }

  FakeClock clock_;
  likeness::testing::TempFolder folder_;
  const std::string data_ = folder_.path() + "/data";
  const std::string backup_ = folder_.path() + "/backup";
  std::unique_ptr<JobStore> jobs_;
  std::unique_ptr<BlobStore> blobs_;
};

TEST_F(BackupTest, PhotoThatTwoTenantsHaveIsThereForBoth) {
  const BlobName acme = Create("acme", "the same photo");
  const BlobName umbrella = Create("umbrella", "the same photo");
  EXPECT_EQ(Make().blobs, 2);
  EXPECT_TRUE(Holds(acme));
  EXPECT_TRUE(Holds(umbrella));
  const auto check = CheckRestore(backup_);
  ASSERT_TRUE(check.ok()) << check.status();
  EXPECT_EQ(check->blobs, 2);
  EXPECT_THAT(check->missing, ::testing::IsEmpty());
}

TEST_F(BackupTest, WhatOneTenantErasesLeavesTheBackupThoughAnotherHasItToo) {
  const BlobName acme = Create("acme", "the same photo");
  const BlobName umbrella = Create("umbrella", "the same photo");
  Make();
  ASSERT_TRUE(jobs_->Cancel({"acme", "rex"}, "").ok());
  clock_.Advance(absl::Seconds(1));
  const auto erased = jobs_->EraseJob({"acme", "rex"}, "");
  ASSERT_TRUE(erased.ok()) << erased.status();
  EXPECT_EQ(EraseBlobs(*jobs_, *blobs_, *erased).erased_blobs(), 1);
  EXPECT_EQ(Make().removed, 1);
  EXPECT_FALSE(Holds(acme));
  EXPECT_TRUE(Holds(umbrella));
}

}  // namespace
}  // namespace likeness::server

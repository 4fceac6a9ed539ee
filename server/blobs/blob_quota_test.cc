#include "server/blobs/blob_quota.h"

#include <optional>

#include "common/digest.h"
#include "common/ids.h"
#include "common/rpc_error.h"
#include "gtest/gtest.h"
#include "server/blobs/filesystem/filesystem_blob_store.h"
#include "tests/support/test_server.h"

namespace likeness::server {
namespace {

class BlobQuotaTest : public ::testing::Test {
 protected:
  std::string Refusal(const std::string& tenant, int64_t bytes) {
    return ErrorReason(quota_.Reserve(tenant, bytes).status());
  }

  likeness::testing::TempFolder folder_;
  FakeClock clock_;
  std::unique_ptr<FilesystemBlobStore> store_ =
      *FilesystemBlobStore::Open(folder_.path() + "/blobs", 1000, clock_);
  BlobQuota quota_{*store_,
                   [](const std::string& tenant) { return tenant == "acme" ? 10 : 1'000'000; }};
};

TEST_F(BlobQuotaTest, WhatIsOnItsWayCountsUntilItIsThereOrGivenUp) {
  std::optional<BlobQuota::Reservation> first = *quota_.Reserve("acme", 6);
  EXPECT_EQ(Refusal("acme", 5), "QUOTA_EXCEEDED");
  EXPECT_EQ(Refusal("acme", 4), "");
  EXPECT_EQ(Refusal("umbrella", 5), "");
  first.reset();
  EXPECT_EQ(Refusal("acme", 10), "");
  ASSERT_TRUE(store_->Put("acme", "photos").ok());
  EXPECT_EQ(Refusal("acme", 5), "QUOTA_EXCEEDED");
  EXPECT_EQ(Refusal("acme", 4), "");
}

TEST_F(BlobQuotaTest, TenantsThatMayKeepNoMoreAreCounted) {
  ASSERT_TRUE(store_->Put("acme", "nine byte").ok());
  ASSERT_TRUE(store_->Put("umbrella", "far more than ten bytes").ok());
  EXPECT_EQ(quota_.CountTenantsAtQuota(), 0);
  ASSERT_TRUE(store_->Put("acme", "s").ok());
  EXPECT_EQ(quota_.CountTenantsAtQuota(), 1);
}

TEST_F(BlobQuotaTest, ReservationsOfNothingAtTheSameTimeTouchNoOthers) {
  const std::optional<BlobQuota::Reservation> other = *quota_.Reserve("umbrella", 600'000);
  for (int i = 0; i < 10; ++i) {
    std::optional<BlobQuota::Reservation> first = *quota_.Reserve("acme", 0);
    std::optional<BlobQuota::Reservation> second = *quota_.Reserve("acme", 0);
    first.reset();
    second.reset();
    EXPECT_EQ(Refusal("umbrella", 500'000), "QUOTA_EXCEEDED");
    EXPECT_EQ(Refusal("umbrella", 400'000), "");
  }
}

TEST_F(BlobQuotaTest, UploadThatStoppedHalfWayCountsUntilItIsDropped) {
  const UploadName name{"acme", RandomUuid(), Sha256Hex("ten bytes."), 10};
  {
    auto upload = *store_->Upload(name);
    ASSERT_TRUE(upload->Append("ten by").ok());
    EXPECT_EQ(store_->bytes_of("acme"), 0) << "the reservation of whoever writes it counts";
  }
  EXPECT_EQ(Refusal("acme", 5), "QUOTA_EXCEEDED");
  store_.reset();
  store_ = *FilesystemBlobStore::Open(folder_.path() + "/blobs", 1000, clock_);
  EXPECT_EQ(store_->bytes_of("acme"), 6) << "after a restart too";
  {
    auto upload = *store_->Upload(name);
    EXPECT_EQ(store_->bytes_of("acme"), 0);
    ASSERT_TRUE(upload->Append("tes.").ok());
    ASSERT_TRUE(upload->Finish().ok());
  }
  EXPECT_EQ(store_->bytes_of("acme"), 10);
  const UploadName other{"acme", RandomUuid(), Sha256Hex("other"), 5};
  ASSERT_TRUE((*store_->Upload(other))->Append("oth").ok());
  EXPECT_EQ(store_->bytes_of("acme"), 13);
  EXPECT_EQ(*store_->DropUploads(absl::Now() + absl::Hours(1)), 1);
  EXPECT_EQ(store_->bytes_of("acme"), 10);
}

TEST_F(BlobQuotaTest, NothingIsAcceptedFromWhomeverHasMoreThanItMay) {
  ASSERT_TRUE(store_->Put("acme", "ten bytes.").ok());
  EXPECT_EQ(Refusal("acme", 0), "");
  ASSERT_TRUE(store_->Put("acme", "one more").ok());
  EXPECT_EQ(Refusal("acme", 0), "QUOTA_EXCEEDED");
  (void)store_->Sweep(clock_.Now() + absl::Seconds(1), [](const BlobName&) { return false; });
  EXPECT_EQ(store_->bytes_of("acme"), 0);
  EXPECT_EQ(Refusal("acme", 10), "");
}

}  // namespace
}  // namespace likeness::server

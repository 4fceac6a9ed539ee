// Limits of a tenant: calls and stored bytes.
#include <atomic>
#include <thread>

#include "common/error_details.h"
#include "likeness/v1/blob_service.pb.h"
#include "server/api/tenancy_fixture.h"

namespace likeness::server {
namespace {

using TenantLimitsTest = TenancyTest;

TEST_F(TenantLimitsTest, CallsOfATenantAreLimitedAndOfOthersNot) {
  std::string text = *ReadAuthFile(auth_file_);
  text.insert(1, R"("tenants": {"acme": {"calls_per_second": 0.001, "calls_burst": 3}},)");
  std::ofstream(auth_file_) << text;
  server_->server().Reload();
  const v1::ListJobsRequest list;
  for (int i = 0; i < 3; ++i) EXPECT_TRUE(Call(acme_, "ListJobs", list).status.ok());
  const auto refused = Call(acme_, "ListJobs", list).status;
  EXPECT_TRUE(absl::IsResourceExhausted(refused));
  EXPECT_EQ(ErrorReason(refused), "RATE_LIMITED");
  EXPECT_GT(*RetryDelay(refused), absl::Seconds(900));
  EXPECT_TRUE(Call(umbrella_, "ListJobs", list).status.ok());
}

TEST_F(TenantLimitsTest, StoredBytesOfATenantAreLimitedAndNotWhatItsWorkersStore) {
  const v1::Job job = Create(acme_, likeness::testing::PictureJob());
  const auto lease = FakeWorker(Channel(worker_)).Acquire(absl::Seconds(5));
  ASSERT_TRUE(lease.ok()) << lease.status();
  std::string text = *ReadAuthFile(auth_file_);
  text.insert(1, R"("tenants": {"acme": {"max_stored_bytes": 10}},)");
  std::ofstream(auth_file_) << text;
  server_->server().Reload();
  EXPECT_TRUE(Upload(acme_, "acme", "photo1").ok());
  const auto refused = Upload(acme_, "acme", "photo2");
  EXPECT_EQ(ErrorReason(refused), "QUOTA_EXCEEDED");
  EXPECT_EQ(QuotaSubject(refused), "tenants/acme");
  EXPECT_TRUE(Upload(acme_, "acme", "photo1").ok()) << "it is there already";
  EXPECT_TRUE(Upload(acme_, "acme", "four").ok()) << "as many as there may be";
  EXPECT_THAT(MetricsPage(),
              ::testing::HasSubstr("likeness_tenants_at_quota{limit=\"max_stored_bytes\"} 1\n"));
  EXPECT_TRUE(Upload(umbrella_, "umbrella", "photo2").ok());
  Create(acme_, likeness::testing::PictureJob());
  EXPECT_TRUE(Upload(worker_, "acme", "a picture of its job", lease->lease_token()).ok());
  const auto more = Call(acme_, "CreateJob", likeness::testing::PictureJob()).status;
  EXPECT_EQ(ErrorReason(more), "QUOTA_EXCEEDED");
}

TEST_F(TenantLimitsTest, UploadKeepsItsRoomWhileItIsCompleted) {
  const std::string bytes(32 << 20, 'b');
  std::string text = *ReadAuthFile(auth_file_);
  text.insert(1, absl::StrCat(R"("tenants": {"acme": {"max_stored_bytes": )", bytes.size(), "}},"));
  std::ofstream(auth_file_) << text;
  server_->server().Reload();
  const auto channel = Channel(acme_);
  const auto call = [&](const std::string& method, const Message& request) {
    return CallAny(channel, Method(method), request);
  };
  v1::CreateUploadRequest create;
  create.set_sha256(Sha256Hex(bytes));
  create.set_size_bytes(std::ssize(bytes));
  const auto created = call("CreateUpload", create);
  ASSERT_TRUE(created.status.ok()) << created.status;
  const std::string name = dynamic_cast<const v1::Upload&>(*created.messages.at(0)).name();
  v1::UploadPartRequest part;
  part.set_name(name);
  for (size_t offset = 0; offset < bytes.size(); offset += 8 << 20) {
    part.set_offset(static_cast<int64_t>(offset));
    part.set_data(bytes.substr(offset, 8 << 20));
    ASSERT_TRUE(call("UploadPart", part).status.ok());
  }
  std::atomic<bool> completed = false;
  std::thread completing([&] {
    v1::CompleteUploadRequest complete;
    complete.set_name(name);
    const auto status = CallAny(Channel(acme_), Method("CompleteUpload"), complete).status;
    EXPECT_TRUE(status.ok()) << status;
    completed = true;
  });
  v1::CreateUploadRequest other;
  other.set_sha256(Sha256Hex("another"));
  other.set_size_bytes(7);
  int accepted = 0;
  while (!completed) accepted += call("CreateUpload", other).status.ok() ? 1 : 0;
  completing.join();
  // One may look between the call's entry and its reservation: that then fails if the room is
  // taken.
  EXPECT_LE(accepted, 1);
  EXPECT_TRUE(call("CreateUpload", create).status.ok()) << "it is stored, and needs no room";
}

}  // namespace
}  // namespace likeness::server

// BlobService over a real port.
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "common/digest.h"
#include "likeness/v1/blob_service.grpc.pb.h"
#include "server/api/service_fixture.h"
#include "tests/support/http_get.h"

namespace likeness::server {
namespace {

class BlobServiceTest : public ServiceTest {
 protected:
  using ServiceTest::ServiceTest;

  template <typename Request, typename Reply>
  absl::StatusOr<Reply> Call(grpc::Status (v1::BlobService::Stub::*method)(grpc::ClientContext*,
                                                                           const Request&, Reply*),
                             const Request& request) {
    grpc::ClientContext context;
    Reply reply;
    const auto status = FromGrpcStatus((blobs_.get()->*method)(&context, request, &reply));
    if (!status.ok()) return status;
    return reply;
  }

  absl::StatusOr<v1::Upload> Begin(const std::string& bytes) {
    v1::CreateUploadRequest request;
    request.set_sha256(Sha256Hex(bytes));
    request.set_size_bytes(std::ssize(bytes));
    return Call(&v1::BlobService::Stub::CreateUpload, request);
  }

  absl::StatusOr<v1::Upload> Part(const std::string& upload, int64_t offset,
                                  const std::string& bytes, const std::string& sha256 = "") {
    v1::UploadPartRequest request;
    request.set_name(upload);
    request.set_offset(offset);
    request.set_data(bytes);
    request.set_sha256(sha256);
    return Call(&v1::BlobService::Stub::UploadPart, request);
  }

  absl::StatusOr<v1::Blob> Complete(const std::string& upload) {
    v1::CompleteUploadRequest request;
    request.set_name(upload);
    return Call(&v1::BlobService::Stub::CompleteUpload, request);
  }

  absl::StatusOr<v1::Blob> Get(const std::string& blob) {
    v1::GetBlobRequest request;
    request.set_name(blob);
    return Call(&v1::BlobService::Stub::GetBlob, request);
  }

  std::unique_ptr<v1::BlobService::Stub> blobs_ = v1::BlobService::NewStub(server_.channel());
};

TEST_F(BlobServiceTest, PartsBecomeABlob) {
  const auto upload = Begin("one, two");
  ASSERT_TRUE(upload.ok()) << upload.status();
  EXPECT_EQ(upload->committed_size(), 0);
  EXPECT_TRUE(upload->has_expire_time());
  EXPECT_EQ(ErrorReason(Get(upload->blob()).status()), "BLOB_NOT_FOUND");
  EXPECT_EQ(Part(upload->name(), 0, "one, ")->committed_size(), 5);
  EXPECT_EQ(ErrorReason(Complete(upload->name()).status()), "UPLOAD_TOO_SHORT");
  EXPECT_EQ(Part(upload->name(), 5, "two", Sha256Hex("two"))->committed_size(), 8);
  const auto blob = Complete(upload->name());
  ASSERT_TRUE(blob.ok()) << blob.status();
  EXPECT_EQ(blob->name(), upload->blob());
  EXPECT_EQ(Get(blob->name())->size_bytes(), 8);
  EXPECT_TRUE(Complete(upload->name()).ok()) << "repeating it is fine";
  EXPECT_TRUE(Begin("one, two")->complete()) << "it is there now";
}

TEST_F(BlobServiceTest, PartThatIsRepeatedHasNoEffect) {
  const auto upload = Begin("one, two");
  ASSERT_TRUE(Part(upload->name(), 0, "one, ").ok());
  EXPECT_EQ(Part(upload->name(), 0, "one, ")->committed_size(), 5);
  EXPECT_EQ(ErrorReason(Part(upload->name(), 3, ", two").status()), "WRONG_OFFSET");
  EXPECT_EQ(ErrorReason(Part(upload->name(), 6, "wo").status()), "WRONG_OFFSET");
  ASSERT_TRUE(Part(upload->name(), 5, "two").ok());
  EXPECT_TRUE(Complete(upload->name()).ok());
}

TEST_F(BlobServiceTest, PartWithAnotherDigestIsNotStored) {
  const auto upload = Begin("one, two");
  EXPECT_EQ(ErrorReason(Part(upload->name(), 0, "one, ", Sha256Hex("two")).status()),
            "PART_DIGEST_MISMATCH");
  EXPECT_EQ(Part(upload->name(), 0, "one, ")->committed_size(), 5);
}

TEST_F(BlobServiceTest, ContentWithAnotherDigestIsRefused) {
  const auto upload = Begin("one, two");
  ASSERT_TRUE(Part(upload->name(), 0, "one").ok());
  ASSERT_TRUE(Part(upload->name(), 3, "; two").ok());
  EXPECT_EQ(ErrorReason(Complete(upload->name()).status()), "BLOB_DIGEST_MISMATCH");
  EXPECT_EQ(ErrorReason(Complete(upload->name()).status()), "UPLOAD_NOT_FOUND");
}

TEST_F(BlobServiceTest, WrongRequestsAreRefused) {
  v1::CreateUploadRequest request;
  request.set_sha256("abc");
  EXPECT_EQ(ErrorReason(Call(&v1::BlobService::Stub::CreateUpload, request).status()),
            "INVALID_DIGEST");
  const auto upload = Begin("one");
  EXPECT_EQ(ErrorReason(Part(upload->name(), 0, "").status()), "OUT_OF_RANGE");
  EXPECT_EQ(ErrorReason(Part(upload->name(), -1, "one").status()), "OUT_OF_RANGE");
  EXPECT_EQ(ErrorReason(Part(upload->name(), 0, "more than one").status()), "UPLOAD_TOO_LONG");
  EXPECT_EQ(ErrorReason(Complete(upload->name()).status()), "UPLOAD_TOO_SHORT");
  EXPECT_EQ(ErrorReason(Get("tenants/other/blobs/" + Sha256Hex("one")).status()), "BLOB_NOT_FOUND");
}

TEST_F(BlobServiceTest, BlobThatIsTooLargeIsRefusedBeforeItsFirstPart) {
  v1::CreateUploadRequest request;
  request.set_sha256(Sha256Hex("one"));
  request.set_size_bytes(int64_t{1} << 60);
  EXPECT_EQ(ErrorReason(Call(&v1::BlobService::Stub::CreateUpload, request).status()),
            "BLOB_TOO_LARGE");
}

TEST_F(BlobServiceTest, CompletionTellsTheSizeOfTheBlobThatIsStored) {
  const auto upload = Begin("one, two");
  ASSERT_TRUE(Part(upload->name(), 0, "one, two").ok());
  ASSERT_TRUE(Complete(upload->name()).ok());
  v1::CreateUploadRequest wrong;
  wrong.set_sha256(Sha256Hex("one, two"));
  wrong.set_size_bytes(3);
  const auto again = Call(&v1::BlobService::Stub::CreateUpload, wrong);
  ASSERT_TRUE(again.ok()) << again.status();
  EXPECT_EQ(Complete(again->name())->size_bytes(), 8);
}

class SmallRequestsTest : public BlobServiceTest {
 protected:
  SmallRequestsTest()
      : BlobServiceTest([](ServerOptions& o) { o.limits.max_request_bytes = 64 << 10; }) {}
};

TEST_F(SmallRequestsTest, PartIsNoLargerThanARequestMayBe) {
  const std::string bytes((64 << 10) + 1, 'b');
  const auto upload = Begin(bytes);
  EXPECT_EQ(ErrorReason(Part(upload->name(), 0, bytes).status()), "OUT_OF_RANGE");
  EXPECT_TRUE(Part(upload->name(), 0, bytes.substr(1)).ok());
}

TEST_F(BlobServiceTest, TenantHasManyUnfinishedUploadsAndNotEndlesslyMany) {
  for (int i = 0; i < 1000; ++i) {
    const auto upload = Begin(absl::StrCat("photo ", i));
    ASSERT_TRUE(Part(upload->name(), 0, "p").ok()) << i;
  }
  const auto one_more = Begin("one more");
  EXPECT_EQ(ErrorReason(Part(one_more->name(), 0, "o").status()), "TOO_MANY_UPLOADS");
  // What a tenant can bring about must not look like a fault of the server.
  const auto page_says = [this](const std::string& line) {
    const auto page = testing::HttpGet(server_.server().metrics_port(), "/metrics");
    return absl::StrContains(page, line + "\n");
  };
  while (!page_says("code=\"RESOURCE_EXHAUSTED\",method=\"UploadPart\"} 1")) {
    absl::SleepFor(absl::Milliseconds(5));
  }
  EXPECT_TRUE(page_says("likeness_rpc_failures_total{method=\"UploadPart\"} 0"));
}

}  // namespace
}  // namespace likeness::server

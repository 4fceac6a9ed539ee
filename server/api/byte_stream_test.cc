// ByteStream and BlobService over a real port.
#include "common/digest.h"
#include "common/ids.h"
#include "common/resource_names.h"
#include "likeness/v1/blob_service.grpc.pb.h"
#include "server/api/service_fixture.h"

namespace likeness::server {
namespace {

using google::bytestream::WriteRequest;

constexpr int64_t kMaxBlobBytes = 1'000'000;

class ByteStreamTest : public ServiceTest {
 protected:
  ByteStreamTest()
      : ServiceTest([](ServerOptions& options) { options.limits.max_blob_bytes = kMaxBlobBytes; }) {
  }

  // The name under which to upload `data`, or what pretends to be it.
  static std::string NameFor(const std::string& data, int64_t size_bytes) {
    return UploadName{kDefaultTenant, RandomUuid(), Sha256Hex(data), size_bytes}.ToString();
  }

  static WriteRequest Piece(const std::string& name, int64_t offset, const std::string& data,
                            bool last) {
    WriteRequest piece;
    piece.set_resource_name(name);
    piece.set_write_offset(offset);
    piece.set_data(data);
    piece.set_finish_write(last);
    return piece;
  }

  // One call that writes the pieces; the bytes then stored.
  absl::StatusOr<int64_t> Write(const std::vector<WriteRequest>& pieces) {
    grpc::ClientContext context;
    google::bytestream::WriteResponse reply;
    auto stream = bytes_->Write(&context, &reply);
    for (const WriteRequest& piece : pieces) stream->Write(piece);
    stream->WritesDone();
    const auto status = FromGrpcStatus(stream->Finish());
    if (!status.ok()) return status;
    return reply.committed_size();
  }

  absl::StatusOr<google::bytestream::QueryWriteStatusResponse> Query(const std::string& name) {
    google::bytestream::QueryWriteStatusRequest request;
    request.set_resource_name(name);
    google::bytestream::QueryWriteStatusResponse reply;
    grpc::ClientContext context;
    const auto status = FromGrpcStatus(bytes_->QueryWriteStatus(&context, request, &reply));
    if (!status.ok()) return status;
    return reply;
  }

  // Why a blob cannot be read.
  std::string ReadError(const std::string& blob, int64_t offset = 0) {
    google::bytestream::ReadRequest request;
    request.set_resource_name(blob);
    request.set_read_offset(offset);
    grpc::ClientContext context;
    google::bytestream::ReadResponse reply;
    auto stream = bytes_->Read(&context, request);
    while (stream->Read(&reply)) {
    }
    return ErrorReason(FromGrpcStatus(stream->Finish()));
  }
};

TEST_F(ByteStreamTest, UploadCutInTheMiddleIsResumed) {
  const std::string data(700'000, 'x');
  const std::string name = NameFor(data, 700'000);
  ASSERT_TRUE(Write({Piece(name, 0, data.substr(0, 300'000), false)}).ok());
  EXPECT_EQ(Query(name)->committed_size(), 300'000);
  EXPECT_FALSE(Query(name)->complete());
  const auto stored = Write({Piece(name, 300'000, data.substr(300'000), true)});
  EXPECT_EQ(stored.value_or(-1), 700'000) << stored.status();
  EXPECT_TRUE(Query(name)->complete());
}

TEST_F(ByteStreamTest, DigestMismatchIsRefused) {
  const std::string sha256(64, '0');
  const std::string name = "tenants/default/uploads/u/blobs/" + sha256 + "/3";
  EXPECT_EQ(ErrorReason(Write({Piece(name, 0, "abc", true)}).status()), "BLOB_DIGEST_MISMATCH");
  EXPECT_EQ(ReadError("tenants/default/blobs/" + sha256), "BLOB_NOT_FOUND");
}

TEST_F(ByteStreamTest, BlobBeyondTheLimitIsRefusedAtItsFirstPiece) {
  const std::string name = NameFor("x", kMaxBlobBytes + 1);
  const auto status = Write({Piece(name, 0, "x", false)}).status();
  EXPECT_EQ(ErrorReason(status), "BLOB_TOO_LARGE") << status;
  EXPECT_THAT(std::string(status.message()), ::testing::HasSubstr("1000000"));
  EXPECT_EQ(ErrorReason(Query(name).status()), "BLOB_TOO_LARGE") << "nothing is kept";
}

TEST_F(ByteStreamTest, BytesBeyondTheSizeInTheNameAreRefused) {
  const std::string name = NameFor("abc", 3);
  EXPECT_EQ(ErrorReason(Write({Piece(name, 0, "abcd", true)}).status()), "UPLOAD_TOO_LONG");
  EXPECT_EQ(ErrorReason(Write({Piece(name, 0, "ab", true)}).status()), "UPLOAD_TOO_SHORT");
}

TEST_F(ByteStreamTest, WrongOffsetIsRefusedAndTheRightOneNamed) {
  const std::string name = NameFor("abcdef", 6);
  ASSERT_TRUE(Write({Piece(name, 0, "abc", false)}).ok());
  for (const int64_t wrong : {-1, 0, 2, 4}) {
    const auto status = Write({Piece(name, wrong, "def", true)}).status();
    EXPECT_EQ(ErrorReason(status), "WRONG_OFFSET") << wrong << ": " << status;
    EXPECT_THAT(std::string(status.message()), ::testing::HasSubstr("go on at 3"));
    EXPECT_EQ(FieldViolations(status).at(0).field, "write_offset");
  }
  EXPECT_EQ(Query(name)->committed_size(), 3) << "what was right before is kept";
  EXPECT_TRUE(Write({Piece(name, 3, "def", true)}).ok());
}

TEST_F(ByteStreamTest, MissingBlobsAreNamedOnceAndInOrder) {
  const auto stub = v1::BlobService::NewStub(server_.channel());
  const auto find = [&](const std::vector<std::string>& blobs,
                        v1::FindMissingBlobsResponse* reply) {
    v1::FindMissingBlobsRequest request;
    request.mutable_blobs()->Add(blobs.begin(), blobs.end());
    grpc::ClientContext context;
    return FromGrpcStatus(stub->FindMissingBlobs(&context, request, reply));
  };
  const auto stored = worker_.Upload("abc");
  const std::string a = BlobName{.sha256 = Sha256Hex("a")}.ToString();
  const std::string b = BlobName{.sha256 = Sha256Hex("b")}.ToString();
  ASSERT_TRUE(Write({Piece(NameFor("b", 1), 0, "b", false)}).ok());  // begun is not stored
  v1::FindMissingBlobsResponse reply;
  ASSERT_TRUE(find({b, *stored, a, b}, &reply).ok());
  EXPECT_THAT(reply.missing_blobs(), ::testing::ElementsAre(b, a));

  EXPECT_EQ(ErrorReason(find({}, &reply)), "OUT_OF_RANGE");
  EXPECT_EQ(ErrorReason(find(std::vector<std::string>(1001, a), &reply)), "OUT_OF_RANGE");
  for (const std::string& wrong : {std::string("abc"), "tenants/other/blobs/" + Sha256Hex("a")}) {
    const auto status = find({a, wrong}, &reply);
    EXPECT_EQ(ErrorReason(status), "INVALID_NAME");
    EXPECT_EQ(FieldViolations(status).at(0).field, "blobs[1]");
  }
}

TEST_F(ByteStreamTest, ReadsBeyondTheEndAreRefused) {
  const auto blob = worker_.Upload("abc");
  EXPECT_EQ(ReadError(*blob, 3), "") << "nothing is left to read, which is no error";
  EXPECT_EQ(ReadError(*blob, 4), "OUT_OF_RANGE");
  EXPECT_EQ(ReadError(*blob, -1), "OUT_OF_RANGE");
}

}  // namespace
}  // namespace likeness::server

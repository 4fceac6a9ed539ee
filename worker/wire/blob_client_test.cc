#include "worker/wire/blob_client.h"

#include <gmock/gmock.h>
#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <memory>
#include <optional>
#include <vector>

#include "common/digest.h"
#include "common/resource_names.h"
#include "common/rpc_error.h"
#include "worker/support/files.h"

namespace likeness {
namespace {

namespace bytestream = google::bytestream;
namespace fs = std::filesystem;

// Holds one blob, and remembers what was asked of it.
class OneBlob : public bytestream::ByteStream::Service {
 public:
  grpc::Status Read(grpc::ServerContext* context, const bytestream::ReadRequest* request,
                    grpc::ServerWriter<bytestream::ReadResponse>* writer) override {
    offsets.push_back(request->read_offset());
    all_had_deadlines =
        all_had_deadlines &&
        context->deadline() < std::chrono::system_clock::now() + std::chrono::hours(1);
    int64_t end = std::ssize(bytes);
    if (request->read_limit() > 0) {
      end = std::min(end, request->read_offset() + request->read_limit());
    }
    bytestream::ReadResponse response;
    for (int64_t at = request->read_offset(); at < end;) {
      response.set_data(bytes.substr(at, std::min<int64_t>(1 << 20, end - at)));
      at += std::ssize(response.data());
      if (!writer->Write(response)) break;
    }
    return grpc::Status::OK;
  }

  grpc::Status QueryWriteStatus(grpc::ServerContext*, const bytestream::QueryWriteStatusRequest*,
                                bytestream::QueryWriteStatusResponse* response) override {
    response->set_committed_size(std::ssize(uploaded));
    return grpc::Status::OK;
  }

  grpc::Status Write(grpc::ServerContext*, grpc::ServerReader<bytestream::WriteRequest>* reader,
                     bytestream::WriteResponse* response) override {
    if (busy > 0) {
      --busy;
      return ToGrpcStatus(RpcError(absl::StatusCode::kAborted, "UPLOAD_IN_PROGRESS",
                                   "another call is writing this upload"));
    }
    for (bytestream::WriteRequest request; reader->Read(&request);) uploaded += request.data();
    response->set_committed_size(std::ssize(uploaded));
    return grpc::Status::OK;
  }

  std::string uploaded;
  int busy = 0;  // Writes that find the one before not ended yet
  std::string bytes;
  std::vector<int64_t> offsets;
  bool all_had_deadlines = true;
};

class BlobClientTest : public testing::Test {
 protected:
  BlobClientTest() {
    grpc::ServerBuilder builder;
    builder.RegisterService(&service_);
    server_ = builder.BuildAndStart();
    grpc::ChannelArguments arguments;
    client_.emplace(server_->InProcessChannel(arguments), "lease");
  }
  ~BlobClientTest() override { fs::remove(file_); }

  absl::Status Download(const TransferWatch& watch) {
    const std::string blob = BlobName{.sha256 = Sha256Hex(service_.bytes)}.ToString();
    return client_->Download(blob, file_, watch);
  }

  OneBlob service_;
  std::unique_ptr<grpc::Server> server_;
  std::optional<BlobClient> client_;
  const fs::path file_ =
      fs::temp_directory_path() / ("blob-client-test-" + std::to_string(getpid()));
};

TEST_F(BlobClientTest, ALargeBlobComesInPartsEachWithADeadline) {
  for (const size_t size : {size_t{0}, size_t{5}, size_t{16} << 20, (size_t{16} << 20) + 3}) {
    service_.bytes = std::string(size, 'x');
    service_.offsets.clear();
    int64_t told = 0;
    const auto status =
        Download({.give_up = [] { return false; }, .on_bytes = [&](int64_t n) { told = n; }});
    ASSERT_TRUE(status.ok()) << status;
    EXPECT_EQ(ReadFile(file_), service_.bytes);
    EXPECT_EQ(told, static_cast<int64_t>(size));
    EXPECT_EQ(service_.offsets.size(), size >= size_t{16} << 20 ? 2u : 1u) << size;
    EXPECT_TRUE(service_.all_had_deadlines);
  }
}

TEST_F(BlobClientTest, ATransferCanBeGivenUpInItsMiddle) {
  service_.bytes = std::string(8 << 20, 'x');
  int64_t told = 0;
  const auto status = Download(
      {.give_up = [&] { return told > 0; }, .on_bytes = [&](int64_t bytes) { told = bytes; }});
  EXPECT_TRUE(absl::IsCancelled(status)) << status;
  EXPECT_LT(told, 8 << 20);
}

TEST_F(BlobClientTest, AnUploadWaitsUntilTheServerNoticesThatTheCallBeforeBroke) {
  WriteFile(file_, "a checkpoint");
  service_.busy = 2;
  const std::string blob = BlobName{.sha256 = Sha256Hex("a checkpoint")}.ToString();
  const auto status = client_->Upload(file_, blob, {.give_up = [] { return false; }});
  EXPECT_TRUE(status.ok()) << status;
  EXPECT_EQ(service_.uploaded, "a checkpoint");
  EXPECT_EQ(service_.busy, 0);
}

TEST_F(BlobClientTest, ADiskThatIsFullEndsTheDownload) {
  if (!fs::exists("/dev/full")) GTEST_SKIP() << "no /dev/full here";
  service_.bytes = std::string(8 << 20, 'x');
  const std::string blob = BlobName{.sha256 = Sha256Hex(service_.bytes)}.ToString();
  const auto status = client_->Download(blob, "/dev/full", {.give_up = [] { return false; }});
  EXPECT_TRUE(absl::IsResourceExhausted(status)) << status;
}

}  // namespace
}  // namespace likeness

#include "worker/wire/blob_client.h"

#include <grpcpp/grpcpp.h>

#include <fstream>

#include "absl/strings/str_cat.h"
#include "common/channel.h"
#include "common/ids.h"
#include "common/resource_names.h"
#include "common/rpc_error.h"
#include "common/status_macros.h"
#include "worker/support/files.h"
#include "worker/wire/rpc_patience.h"

namespace likeness {
namespace {

namespace bytestream = google::bytestream;

constexpr int64_t kChunkBytes = 256 << 10;
// A blob is read in calls of this size, each with its deadline: its own size is not known before.
constexpr int64_t kReadBytes = 16 << 20;

// Long enough for a slow line, short enough that a dead one is noticed.
absl::Duration TransferLimit(int64_t bytes) {
  return absl::Seconds(60) + absl::Seconds(bytes / (256 << 10));
}

absl::Status GivenUp() { return absl::CancelledError("the transfer was given up"); }

absl::Status DiskFull() {
  return RpcError(absl::StatusCode::kResourceExhausted, "DISK_FULL",
                  "the worker's disk cannot hold a blob");
}

void Tell(const TransferWatch& watch, int64_t bytes) {
  if (watch.on_bytes) watch.on_bytes(bytes);
}

}  // namespace

BlobClient::BlobClient(std::shared_ptr<grpc::Channel> channel, const std::string& lease_token)
    : stub_(bytestream::ByteStream::NewStub(channel)), lease_token_(lease_token) {}

absl::Status BlobClient::Upload(const std::filesystem::path& file, const std::string& blob,
                                const TransferWatch& watch) {
  ASSIGN_OR_RETURN(const BlobName name, ParseBlobName(blob));
  const int64_t size = static_cast<int64_t>(std::filesystem::file_size(file));
  const std::string upload = UploadName{name.tenant, RandomUuid(), name.sha256, size}.ToString();
  return CallPatiently([&] { return Send(file, upload, size, watch); }, watch.give_up);
}

absl::Status BlobClient::Send(const std::filesystem::path& file, const std::string& upload,
                              int64_t size, const TransferWatch& watch) {
  bytestream::QueryWriteStatusRequest query;
  query.set_resource_name(upload);
  bytestream::QueryWriteStatusResponse state;
  grpc::ClientContext query_context;
  query_context.AddMetadata(kLeaseMetadata, lease_token_);
  PrepareCall(query_context, absl::Seconds(20));
  const absl::Status known = FromGrpcStatus(stub_->QueryWriteStatus(&query_context, query, &state));
  if (!known.ok() && !absl::IsNotFound(known)) return known;
  if (state.complete()) return absl::OkStatus();

  grpc::ClientContext context;
  context.AddMetadata(kLeaseMetadata, lease_token_);
  PrepareCall(context, TransferLimit(size));
  bytestream::WriteResponse response;
  const auto writer = stub_->Write(&context, &response);
  std::ifstream in(file, std::ios::binary);
  int64_t offset = state.committed_size();
  in.seekg(offset);
  bytestream::WriteRequest request;
  request.set_resource_name(upload);
  std::string chunk;
  do {
    chunk.resize(std::min(kChunkBytes, size - offset));
    if (!in.read(chunk.data(), chunk.size())) return absl::InternalError("cannot read an output");
    request.set_write_offset(offset);
    request.set_data(chunk);
    offset += chunk.size();
    request.set_finish_write(offset == size);
    if (watch.give_up()) {
      context.TryCancel();
      (void)writer->Finish();
      return GivenUp();
    }
    if (!writer->Write(request)) break;  // Finish says why
    request.clear_resource_name();
    Tell(watch, offset);
  } while (offset < size);
  writer->WritesDone();
  const absl::Status status = FromGrpcStatus(writer->Finish());
  if (status.ok() && response.committed_size() != size) {
    return absl::UnavailableError(
        absl::StrCat("upload ended at ", response.committed_size(), " of ", size, " bytes"));
  }
  return status;
}

absl::Status BlobClient::Download(const std::string& blob, const std::filesystem::path& to,
                                  const TransferWatch& watch) {
  ASSIGN_OR_RETURN(const BlobName name, ParseBlobName(blob));
  std::ofstream out(to, std::ios::binary);
  int64_t received = 0;
  for (bool ended = false; !ended;) {
    RETURN_IF_ERROR(
        CallPatiently([&] { return Receive(blob, watch, out, received, ended); }, watch.give_up));
  }
  out.close();
  if (!out) return DiskFull();
  const std::string digest = FileDigest(to);
  if (digest != name.sha256) {
    return RpcError(absl::StatusCode::kDataLoss, "BLOB_DIGEST_MISMATCH",
                    absl::StrCat("blob ", name.sha256, " arrived with digest ", digest));
  }
  return absl::OkStatus();
}

absl::Status BlobClient::Receive(const std::string& blob, const TransferWatch& watch,
                                 std::ofstream& out, int64_t& received, bool& ended) {
  bytestream::ReadRequest request;
  request.set_resource_name(blob);
  request.set_read_offset(received);
  request.set_read_limit(kReadBytes);
  grpc::ClientContext context;
  context.AddMetadata(kLeaseMetadata, lease_token_);
  PrepareCall(context, TransferLimit(kReadBytes));
  const auto reader = stub_->Read(&context, request);
  const int64_t end = received + kReadBytes;
  const auto abandon = [&](absl::Status why) {
    context.TryCancel();
    (void)reader->Finish();
    return why;
  };
  bytestream::ReadResponse response;
  while (reader->Read(&response)) {
    if (watch.give_up()) return abandon(GivenUp());
    if (!out.write(response.data().data(), std::ssize(response.data()))) return abandon(DiskFull());
    received += std::ssize(response.data());
    Tell(watch, received);
  }
  RETURN_IF_ERROR(FromGrpcStatus(reader->Finish()));
  ended = received < end;
  return absl::OkStatus();
}

}  // namespace likeness

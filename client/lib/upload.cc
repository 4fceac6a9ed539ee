#include "client/lib/upload.h"

#include <algorithm>
#include <chrono>

#include "common/digest.h"
#include "common/ids.h"
#include "common/resource_names.h"
#include "common/rpc_error.h"
#include "common/status_macros.h"

namespace likeness::client {
namespace {

constexpr int64_t kChunkBytes = 512 << 10;

// Sends `bytes` from `offset` on; returns what the server has stored in all.
absl::StatusOr<int64_t> WriteFrom(const Connection& connection, const UploadName& name,
                                  absl::string_view bytes, int64_t offset, std::stop_token stop) {
  grpc::ClientContext context;
  std::stop_callback cancel(stop, [&context] { context.TryCancel(); });
  google::bytestream::WriteResponse response;
  auto stream = connection.byte_stream().Write(&context, &response);
  google::bytestream::WriteRequest request;
  request.set_resource_name(name.ToString());
  const auto size = static_cast<int64_t>(bytes.size());
  do {
    auto chunk = bytes.substr(offset, kChunkBytes);
    request.set_write_offset(offset);
    request.set_data(chunk.data(), chunk.size());
    offset += static_cast<int64_t>(chunk.size());
    request.set_finish_write(offset == size);
    // A server that has the blob already answers early: the reason stands in the status.
    if (!stream->Write(request)) break;
    request.clear_resource_name();
  } while (offset < size);
  stream->WritesDone();
  RETURN_IF_ERROR(FromGrpcStatus(stream->Finish()));
  return response.committed_size();
}

absl::StatusOr<int64_t> CommittedSize(const Connection& connection, const UploadName& name) {
  grpc::ClientContext context;
  google::bytestream::QueryWriteStatusRequest request;
  request.set_resource_name(name.ToString());
  google::bytestream::QueryWriteStatusResponse response;
  auto status =
      FromGrpcStatus(connection.byte_stream().QueryWriteStatus(&context, request, &response));
  if (absl::IsNotFound(status)) return 0;  // not a byte of it arrived
  RETURN_IF_ERROR(status);
  return response.committed_size();
}

}  // namespace

absl::StatusOr<std::vector<std::string>> FindMissingBlobs(const Connection& connection,
                                                          const std::vector<std::string>& blobs,
                                                          std::stop_token stop) {
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(20));
  std::stop_callback cancel(stop, [&context] { context.TryCancel(); });
  v1::FindMissingBlobsRequest request;
  request.mutable_blobs()->Add(blobs.begin(), blobs.end());
  v1::FindMissingBlobsResponse response;
  RETURN_IF_ERROR(
      FromGrpcStatus(connection.blobs().FindMissingBlobs(&context, request, &response)));
  return std::vector<std::string>(response.missing_blobs().begin(), response.missing_blobs().end());
}

absl::StatusOr<std::string> UploadBlob(const Connection& connection, const std::string& tenant,
                                       absl::string_view bytes, std::stop_token stop,
                                       const BackoffOptions& options) {
  const UploadName name{.tenant = tenant,
                        .uuid = RandomUuid(),
                        .sha256 = Sha256Hex(bytes),
                        .size_bytes = static_cast<int64_t>(bytes.size())};
  Backoff backoff(options);
  absl::StatusOr<int64_t> stored = WriteFrom(connection, name, bytes, 0, stop);
  while (!stored.ok() || *stored < name.size_bytes) {
    if (!stored.ok() && !absl::IsUnavailable(stored.status())) return stored.status();
    if (!backoff.Wait(stop)) {
      return stored.ok() ? absl::UnavailableError("The upload makes no progress.")
                         : stored.status();
    }
    stored = CommittedSize(connection, name);
    if (stored.ok()) stored = WriteFrom(connection, name, bytes, *stored, stop);
  }
  return name.blob().ToString();
}

}  // namespace likeness::client

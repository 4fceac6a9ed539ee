#include "client/lib/upload.h"

#include "client/lib/stopped.h"
#include "client/lib/unary_call.h"
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

absl::StatusOr<int64_t> CommittedSize(const Connection& connection, const UploadName& name,
                                      std::stop_token stop) {
  google::bytestream::QueryWriteStatusRequest request;
  request.set_resource_name(name.ToString());
  const auto response = Call<google::bytestream::QueryWriteStatusResponse>(
      kCallDeadline, stop, [&](auto* context, auto* reply) {
        return connection.byte_stream().QueryWriteStatus(context, request, reply);
      });
  if (absl::IsNotFound(response.status())) return 0;  // not a byte of it arrived
  RETURN_IF_ERROR(response.status());
  return response->committed_size();
}

}  // namespace

absl::StatusOr<std::vector<std::string>> FindMissingBlobs(const Connection& connection,
                                                          const std::vector<std::string>& blobs,
                                                          std::stop_token stop) {
  v1::FindMissingBlobsRequest request;
  request.mutable_blobs()->Add(blobs.begin(), blobs.end());
  ASSIGN_OR_RETURN(
      const auto response,
      Call<v1::FindMissingBlobsResponse>(kCallDeadline, stop, [&](auto* context, auto* reply) {
        return connection.blobs().FindMissingBlobs(context, request, reply);
      }));
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
  int64_t progress = 0;
  absl::StatusOr<int64_t> stored = WriteFrom(connection, name, bytes, 0, stop);
  while (!stored.ok() || *stored < name.size_bytes) {
    const absl::Status why =
        stored.ok() ? absl::UnavailableError("The upload makes no progress.") : stored.status();
    if (!backoff.WaitAfter(why, stop)) return OrStopped(why, stop);
    stored = CommittedSize(connection, name, stop);
    if (stored.ok() && *stored > progress) {
      progress = *stored;
      backoff.Reset();
    }
    if (stored.ok()) stored = WriteFrom(connection, name, bytes, *stored, stop);
  }
  return name.blob().ToString();
}

}  // namespace likeness::client

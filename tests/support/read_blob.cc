#include "tests/support/read_blob.h"

#include "common/rpc_error.h"
#include "google/bytestream/bytestream.grpc.pb.h"

namespace likeness::testing {

absl::StatusOr<std::string> ReadBlob(const std::shared_ptr<grpc::Channel>& channel,
                                     const std::string& digest, int64_t offset, int64_t limit) {
  grpc::ClientContext context;
  google::bytestream::ReadRequest request;
  request.set_resource_name("tenants/default/blobs/" + digest);
  request.set_read_offset(offset);
  request.set_read_limit(limit);
  auto stream = google::bytestream::ByteStream::NewStub(channel)->Read(&context, request);
  std::string read;
  for (google::bytestream::ReadResponse piece; stream->Read(&piece);) read += piece.data();
  const auto status = FromGrpcStatus(stream->Finish());
  if (!status.ok()) return status;
  return read;
}

}  // namespace likeness::testing

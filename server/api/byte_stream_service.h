// google.bytestream.ByteStream over the blob store.
#pragma once

#include "google/bytestream/bytestream.grpc.pb.h"
#include "server/api/front.h"
#include "server/blobs/blob_quota.h"
#include "server/blobs/blob_store.h"
#include "server/jobs/job_store.h"

namespace likeness::server {

class ByteStreamServiceImpl final : public google::bytestream::ByteStream::CallbackService {
 public:
  // All must outlive this. `jobs` tells which leases are live.
  ByteStreamServiceImpl(Front& front, BlobStore& blobs, BlobQuota& quota, JobStore& jobs)
      : front_(front), blobs_(blobs), quota_(quota), jobs_(jobs) {}

  grpc::ServerWriteReactor<google::bytestream::ReadResponse>* Read(
      grpc::CallbackServerContext* context,
      const google::bytestream::ReadRequest* request) override;
  grpc::ServerReadReactor<google::bytestream::WriteRequest>* Write(
      grpc::CallbackServerContext* context, google::bytestream::WriteResponse* reply) override;
  grpc::ServerUnaryReactor* QueryWriteStatus(
      grpc::CallbackServerContext* context,
      const google::bytestream::QueryWriteStatusRequest* request,
      google::bytestream::QueryWriteStatusResponse* reply) override;

 private:
  Front& front_;
  BlobStore& blobs_;
  BlobQuota& quota_;
  JobStore& jobs_;
};

}  // namespace likeness::server

// google.bytestream.ByteStream over the blob store.
#pragma once

#include <functional>
#include <memory>

#include "google/bytestream/bytestream.grpc.pb.h"
#include "server/api/method_table.h"
#include "server/blobs/blob_quota.h"
#include "server/blobs/blob_store.h"
#include "server/jobs/job_store.h"

namespace likeness::server {

class ByteStreamServiceImpl {
 public:
  // All must outlive this. `jobs` tells which leases are live.
  ByteStreamServiceImpl(Front& front, BlobStore& blobs, BlobQuota& quota, JobStore& jobs)
      : front_(front), blobs_(blobs), quota_(quota), jobs_(jobs) {}

  void AddTo(MethodTable& methods);

 private:
  absl::StatusOr<std::unique_ptr<StreamSource<google::bytestream::ReadResponse>>> Read(
      Caller& caller, const google::bytestream::ReadRequest* request, std::function<void()> wake);
  absl::Status QueryWriteStatus(Caller& caller,
                                const google::bytestream::QueryWriteStatusRequest* request,
                                google::bytestream::QueryWriteStatusResponse* reply);

  Front& front_;
  BlobStore& blobs_;
  BlobQuota& quota_;
  JobStore& jobs_;
};

}  // namespace likeness::server

// likeness.v1.BlobService.
#pragma once

#include "likeness/v1/blob_service.grpc.pb.h"
#include "server/api/method_table.h"
#include "server/blobs/blob_store.h"

namespace likeness::server {

class BlobServiceImpl {
 public:
  // Must outlive this.
  explicit BlobServiceImpl(BlobStore& blobs) : blobs_(blobs) {}

  void AddTo(MethodTable& methods);

 private:
  absl::Status FindMissingBlobs(Caller& caller, const v1::FindMissingBlobsRequest* request,
                                v1::FindMissingBlobsResponse* reply);

  BlobStore& blobs_;
};

}  // namespace likeness::server

// likeness.v1.BlobService.
#pragma once

#include "likeness/v1/blob_service.grpc.pb.h"
#include "server/api/front.h"
#include "server/blobs/blob_store.h"

namespace likeness::server {

class BlobServiceImpl final : public v1::BlobService::CallbackService {
 public:
  // Both must outlive this.
  BlobServiceImpl(Front& front, BlobStore& blobs) : front_(front), blobs_(blobs) {}

  grpc::ServerUnaryReactor* FindMissingBlobs(grpc::CallbackServerContext* context,
                                             const v1::FindMissingBlobsRequest* request,
                                             v1::FindMissingBlobsResponse* reply) override;

 private:
  Front& front_;
  BlobStore& blobs_;
};

}  // namespace likeness::server

// likeness.v1.BlobService.
#pragma once

#include "likeness/v1/blob_service.grpc.pb.h"
#include "server/api/method_table.h"
#include "server/blobs/blob_quota.h"
#include "server/blobs/blob_store.h"
#include "server/metrics/metrics.h"

namespace likeness::server {

class BlobServiceImpl {
 public:
  // All must outlive this.
  BlobServiceImpl(BlobStore& blobs, BlobQuota& quota, Metrics& metrics)
      : blobs_(blobs), quota_(quota), metrics_(metrics) {}

  void AddTo(MethodTable& methods);

 private:
  absl::Status FindMissingBlobs(Caller& caller, const v1::FindMissingBlobsRequest* request,
                                v1::FindMissingBlobsResponse* reply);
  absl::Status GetBlob(Caller& caller, const v1::GetBlobRequest* request, v1::Blob* reply);
  absl::Status CreateUpload(Caller& caller, const v1::CreateUploadRequest* request,
                            v1::Upload* reply);
  absl::Status UploadPart(Caller& caller, const v1::UploadPartRequest* request, v1::Upload* reply);
  absl::Status CompleteUpload(Caller& caller, const v1::CompleteUploadRequest* request,
                              v1::Blob* reply);
  // The part's bytes, where they belong.
  absl::Status Append(const v1::UploadPartRequest& request, const UploadName& name,
                      BlobUpload& upload);

  BlobStore& blobs_;
  BlobQuota& quota_;
  Metrics& metrics_;
};

}  // namespace likeness::server

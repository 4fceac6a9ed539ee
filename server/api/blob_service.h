// likeness.v1.BlobService.
#pragma once

#include <algorithm>
#include <memory>
#include <optional>

#include "likeness/v1/blob_service.grpc.pb.h"
#include "server/api/method_table.h"
#include "server/blobs/blob_quota.h"
#include "server/blobs/blob_store.h"
#include "server/metrics/metrics.h"

namespace likeness::server {

class BlobServiceImpl {
 public:
  // The first three must outlive this. `max_request_bytes`: of any request.
  BlobServiceImpl(BlobStore& blobs, BlobQuota& quota, Metrics& metrics, int64_t max_request_bytes)
      : blobs_(blobs),
        quota_(quota),
        metrics_(metrics),
        max_part_bytes_(std::min(max_request_bytes, kMaxPartBytes)) {}

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
  // While a call is at an upload, the store does not count its bytes: there is room for all of them
  // until the call has left it again.
  struct Entered {
    std::optional<BlobQuota::Reservation> room;  // outlives `upload`
    std::unique_ptr<BlobUpload> upload;
  };
  absl::StatusOr<Entered> Enter(const UploadName& name);
  // The part's bytes, where they belong.
  absl::Status Append(const v1::UploadPartRequest& request, BlobUpload& upload);

  static constexpr int64_t kMaxPartBytes = 8 << 20;

  BlobStore& blobs_;
  BlobQuota& quota_;
  Metrics& metrics_;
  const int64_t max_part_bytes_;
};

}  // namespace likeness::server

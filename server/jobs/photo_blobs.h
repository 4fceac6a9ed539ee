// Photos of a request, looked at where they are stored.
#pragma once

#include <string>

#include "absl/status/status.h"
#include "likeness/v1/generate.pb.h"
#include "likeness/v1/image.pb.h"
#include "server/blobs/blob_store.h"
#include "server/jobs/limits.h"

namespace likeness::server {

// Thread-safe; blocks. The store outlives this.
class PhotoBlobs {
 public:
  PhotoBlobs(BlobStore& blobs, const Limits& limits) : blobs_(blobs), limits_(limits) {}

  // Photos by blob are there, are kept once more, and can be photos. INVALID_ARGUMENT:
  // BLOB_NOT_FOUND, PHOTO_TOO_LARGE, INVALID_NAME, and what common/image_header.h says.
  // The same of their masks, and MASK_SIZE_DIFFERS. `field`: of the list in the request.
  absl::Status CheckAll(const std::string& tenant,
                        const google::protobuf::RepeatedPtrField<v1::Photo>& photos,
                        const std::string& field);
  // The same of the image that a job starts from, and its mask.
  absl::Status CheckStart(const std::string& tenant, const v1::ImageToImage& start,
                          const std::string& field);

 private:
  class Look;

  BlobStore& blobs_;
  const Limits limits_;
};

}  // namespace likeness::server

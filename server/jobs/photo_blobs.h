// Blobs that a request names, looked at where they are stored.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "likeness/v1/generate.pb.h"
#include "likeness/v1/image.pb.h"
#include "server/blobs/blob_store.h"
#include "server/jobs/limits.h"
#include "server/jobs/validation/field_checker.h"

namespace likeness::server {

// The tenant's blob that the field `path` names, kept once more; nothing where there is none
// (BLOB_NOT_FOUND), which `checker` is told. INVALID_ARGUMENT (INVALID_NAME) for what is no blob's
// name.
absl::StatusOr<std::unique_ptr<BlobReader>> OpenNamedBlob(BlobStore& blobs,
                                                          const std::string& tenant,
                                                          const std::string& blob,
                                                          const std::string& path,
                                                          FieldChecker& checker);

// Of one request of a tenant, which looks at each blob once. Blocks. The others outlive this.
class PhotoBlobs {
 public:
  PhotoBlobs(BlobStore& blobs, const Limits& limits, const std::string& tenant)
      : blobs_(blobs), limits_(limits), tenant_(tenant) {}

  // Photos by blob are there, are kept once more, and can be photos. INVALID_ARGUMENT:
  // BLOB_NOT_FOUND, PHOTO_TOO_LARGE, INVALID_NAME, and what common/image_header.h says.
  // The same of their masks, and MASK_SIZE_DIFFERS. `field`: of the list in the request.
  absl::Status CheckAll(const google::protobuf::RepeatedPtrField<v1::Photo>& photos,
                        const std::string& field);
  // The same of the image that a job starts from, and its mask.
  absl::Status CheckStart(const v1::ImageToImage& start, const std::string& field);

 private:
  struct Size {
    int64_t width = 0, height = 0;  // as people see the photo; 0 where it cannot be read
  };
  // Of a photo, which is checked; `checker` is told what is wrong with it.
  absl::StatusOr<Size> SizeOf(const v1::Photo& photo, const std::string& field,
                              FieldChecker& checker);
  // Whether the mask is as large as its image, if both can be looked at.
  absl::Status CheckMask(const v1::Photo& image, const std::string& field, const v1::Photo& mask,
                         const std::string& mask_field, FieldChecker& checker);

  BlobStore& blobs_;
  const Limits& limits_;
  const std::string& tenant_;
  std::map<std::string, Size> sizes_;  // of the blobs that are photos, by name
};

}  // namespace likeness::server

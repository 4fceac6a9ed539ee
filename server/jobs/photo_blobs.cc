#include "server/jobs/photo_blobs.h"

#include "absl/strings/str_cat.h"
#include "common/exif.h"
#include "common/resource_names.h"
#include "common/rpc_error.h"
#include "common/status_macros.h"
#include "server/jobs/validation/field_checker.h"
#include "server/jobs/validation/spec_validation.h"

namespace likeness::server {

// One check of one request.
class PhotoBlobs::Look {
 public:
  Look(PhotoBlobs& photos, const std::string& tenant)
      : blobs_(photos.blobs_), limits_(photos.limits_), tenant_(tenant) {}

  // The photo's bytes; of a blob that is wrong, none.
  absl::StatusOr<std::string> At(const v1::Photo& photo, const std::string& field) {
    if (!photo.has_blob()) return photo.inline_();
    const std::string path = field + ".blob";
    ASSIGN_OR_RETURN(const BlobName name, ParseBlobName(photo.blob(), path));
    const absl::Status kept = name.tenant == tenant_ ? blobs_.Keep(name) : BlobNotFound(name);
    if (absl::IsNotFound(kept)) {
      checker_.Add(path, "there is no such blob; upload it first", "BLOB_NOT_FOUND");
      return "";
    }
    RETURN_IF_ERROR(kept);
    ASSIGN_OR_RETURN(auto blob, blobs_.Open(name));
    if (blob->size() > limits_.max_request_bytes) {
      checker_.Add(path,
                   absl::StrCat("has ", blob->size(), " bytes; a photo has at most ",
                                limits_.max_request_bytes),
                   "PHOTO_TOO_LARGE", {{"limit", absl::StrCat(limits_.max_request_bytes)}});
      return "";
    }
    ASSIGN_OR_RETURN(std::string bytes, blob->Read(0, blob->size()));
    CheckPhotoFile(path, bytes, checker_);
    return bytes;
  }

  // Whether the mask is as large as its image, if both can be looked at.
  absl::Status CheckMask(const v1::Photo& image, const std::string& field, const v1::Photo& mask,
                         const std::string& mask_field) {
    ASSIGN_OR_RETURN(const std::string bytes, At(image, field));
    ASSIGN_OR_RETURN(const std::string mask_bytes, At(mask, mask_field));
    const auto size = UprightSize(bytes), mask_size = UprightSize(mask_bytes);
    if (!size.ok() || !mask_size.ok() || *size == *mask_size) return absl::OkStatus();
    checker_.Add(mask_field,
                 absl::StrCat("has ", mask_size->first, " x ", mask_size->second, " px, its image ",
                              size->first, " x ", size->second, " px; they have to be equal"),
                 "MASK_SIZE_DIFFERS");
    return absl::OkStatus();
  }

  FieldChecker& checker() { return checker_; }

 private:
  BlobStore& blobs_;
  const Limits& limits_;
  const std::string& tenant_;
  FieldChecker checker_;
};

absl::Status PhotoBlobs::CheckAll(const std::string& tenant,
                                  const google::protobuf::RepeatedPtrField<v1::Photo>& photos,
                                  const std::string& field) {
  Look look(*this, tenant);
  for (int i = 0; i < photos.size(); ++i) {
    const std::string path = absl::StrCat(field, "[", i, "]");
    if (photos[i].has_mask()) {
      RETURN_IF_ERROR(look.CheckMask(photos[i], path, photos[i].mask(), path + ".mask"));
    } else if (photos[i].has_blob()) {
      RETURN_IF_ERROR(look.At(photos[i], path).status());
    }
  }
  return look.checker().status();
}

absl::Status PhotoBlobs::CheckStart(const std::string& tenant, const v1::ImageToImage& start,
                                    const std::string& field) {
  Look look(*this, tenant);
  const std::string image = field + ".image";
  if (start.has_mask()) {
    RETURN_IF_ERROR(look.CheckMask(start.image(), image, start.mask(), field + ".mask"));
  } else {
    RETURN_IF_ERROR(look.At(start.image(), image).status());
  }
  return look.checker().status();
}

}  // namespace likeness::server

#include "server/jobs/photo_blobs.h"

#include "absl/strings/str_cat.h"
#include "common/exif.h"
#include "common/resource_names.h"
#include "common/rpc_error.h"
#include "common/status_macros.h"
#include "server/jobs/validation/spec_validation.h"

namespace likeness::server {

absl::StatusOr<std::unique_ptr<BlobReader>> OpenNamedBlob(BlobStore& blobs,
                                                          const std::string& tenant,
                                                          const std::string& blob,
                                                          const std::string& path,
                                                          FieldChecker& checker) {
  ASSIGN_OR_RETURN(const BlobName name, ParseBlobName(blob, path));
  const absl::Status kept = name.tenant == tenant ? blobs.Keep(name) : BlobNotFound(name);
  if (absl::IsNotFound(kept)) {
    checker.Add(path, "there is no such blob; upload it first", "BLOB_NOT_FOUND");
    return nullptr;
  }
  RETURN_IF_ERROR(kept);
  return blobs.Open(name);
}

absl::StatusOr<PhotoBlobs::Size> PhotoBlobs::SizeOf(const v1::Photo& photo,
                                                    const std::string& field,
                                                    FieldChecker& checker) {
  const auto upright = [](absl::string_view bytes) {
    const auto size = UprightSize(bytes);
    return size.ok() ? Size{size->first, size->second} : Size();
  };
  if (!photo.has_blob()) return upright(photo.inline_());
  if (const auto known = sizes_.find(photo.blob()); known != sizes_.end()) return known->second;
  const std::string path = field + ".blob";
  ASSIGN_OR_RETURN(const auto blob, OpenNamedBlob(blobs_, tenant_, photo.blob(), path, checker));
  if (blob == nullptr) return Size();
  if (blob->size() > limits_.max_request_bytes) {
    checker.Add(path,
                absl::StrCat("has ", blob->size(), " bytes; a photo has at most ",
                             limits_.max_request_bytes),
                "PHOTO_TOO_LARGE", {{"limit", absl::StrCat(limits_.max_request_bytes)}});
    return Size();
  }
  ASSIGN_OR_RETURN(const std::string bytes, blob->Read(0, blob->size()));
  FieldChecker own;
  CheckPhotoFile(path, bytes, own);
  if (own.status().ok()) return sizes_[photo.blob()] = upright(bytes);
  CheckPhotoFile(path, bytes, checker);
  return upright(bytes);
}

absl::Status PhotoBlobs::CheckMask(const v1::Photo& image, const std::string& field,
                                   const v1::Photo& mask, const std::string& mask_field,
                                   FieldChecker& checker) {
  ASSIGN_OR_RETURN(const Size size, SizeOf(image, field, checker));
  ASSIGN_OR_RETURN(const Size mask_size, SizeOf(mask, mask_field, checker));
  if (size.width == 0 || mask_size.width == 0 ||
      (size.width == mask_size.width && size.height == mask_size.height)) {
    return absl::OkStatus();
  }
  checker.Add(mask_field,
              absl::StrCat("has ", mask_size.width, " x ", mask_size.height, " px, its image ",
                           size.width, " x ", size.height, " px; they have to be equal"),
              "MASK_SIZE_DIFFERS");
  return absl::OkStatus();
}

absl::Status PhotoBlobs::CheckAll(const google::protobuf::RepeatedPtrField<v1::Photo>& photos,
                                  const std::string& field) {
  FieldChecker checker;
  for (int i = 0; i < photos.size(); ++i) {
    const std::string path = absl::StrCat(field, "[", i, "]");
    if (photos[i].has_mask()) {
      RETURN_IF_ERROR(CheckMask(photos[i], path, photos[i].mask(), path + ".mask", checker));
    } else if (photos[i].has_blob()) {
      RETURN_IF_ERROR(SizeOf(photos[i], path, checker).status());
    }
  }
  return checker.status();
}

absl::Status PhotoBlobs::CheckStart(const v1::ImageToImage& start, const std::string& field) {
  FieldChecker checker;
  const std::string image = field + ".image";
  if (start.has_mask()) {
    RETURN_IF_ERROR(CheckMask(start.image(), image, start.mask(), field + ".mask", checker));
  } else {
    RETURN_IF_ERROR(SizeOf(start.image(), image, checker).status());
  }
  return checker.status();
}

}  // namespace likeness::server

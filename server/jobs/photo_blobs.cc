#include "server/jobs/photo_blobs.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "common/exif.h"
#include "common/image_header.h"
#include "common/resource_names.h"
#include "common/rpc_error.h"
#include "common/status_macros.h"
#include "server/jobs/validation/field_checker.h"
#include "server/jobs/validation/spec_validation.h"

namespace likeness::server {
namespace {

// Width and height as people see the picture; one that cannot be read is 0 wide.
std::pair<int64_t, int64_t> UprightSize(absl::string_view bytes) {
  const auto header = ReadImageHeader(bytes);
  if (!header.ok()) return {};
  if (ExifOrientation(bytes) > 4) return {header->height, header->width};
  return {header->width, header->height};
}

}  // namespace

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
    if (!photos[i].has_blob()) continue;
    RETURN_IF_ERROR(look.At(photos[i], absl::StrCat(field, "[", i, "]")).status());
  }
  return look.checker().status();
}

absl::Status PhotoBlobs::CheckStart(const std::string& tenant, const v1::ImageToImage& start,
                                    const std::string& field) {
  Look look(*this, tenant);
  ASSIGN_OR_RETURN(const std::string image, look.At(start.image(), field + ".image"));
  if (!start.has_mask()) return look.checker().status();
  ASSIGN_OR_RETURN(const std::string mask, look.At(start.mask(), field + ".mask"));
  RETURN_IF_ERROR(look.checker().status());
  const auto [width, height] = UprightSize(image);
  const auto [mask_width, mask_height] = UprightSize(mask);
  if (width == mask_width && height == mask_height) return absl::OkStatus();
  return InvalidField(field + ".mask",
                      absl::StrCat("has ", mask_width, " x ", mask_height, " px, the image ", width,
                                   " x ", height, " px; they have to be equal"),
                      "MASK_SIZE_DIFFERS");
}

}  // namespace likeness::server

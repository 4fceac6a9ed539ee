#include "client/lib/photos.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "client/lib/jobs.h"
#include "client/lib/upload.h"
#include "common/digest.h"
#include "common/exif.h"
#include "common/jpeg_reader.h"
#include "common/resource_names.h"
#include "common/rpc_error.h"
#include "common/status_macros.h"

namespace likeness::client {
namespace {

namespace fs = std::filesystem;

// Looks at the rows as they are decoded.
class LookingRows : public JpegRows {
 public:
  void Begin(int width, int height, int channels) override {
    row_.resize(static_cast<size_t>(width) * channels);
    if (channels != 4) looker_.emplace(width, height, channels);
  }
  // What is in the room of the row before is complete when the next is asked for.
  unsigned char* Row(int y) override {
    if (looker_ && y > 0) looker_->AddRow(row_.data());
    return row_.data();
  }
  std::optional<PhotoLook> Finish() {
    if (!looker_) return std::nullopt;
    looker_->AddRow(row_.data());
    return looker_->Finish();
  }

 private:
  std::vector<unsigned char> row_;
  std::optional<PhotoLooker> looker_;
};

absl::Status CheckMask(absl::string_view mask, absl::string_view photo) {
  RETURN_IF_ERROR(CheckPhoto(mask));
  const auto photo_size = UprightSize(photo);
  if (!photo_size.ok()) return absl::OkStatus();  // that is the photo's fault
  ASSIGN_OR_RETURN(const auto size, UprightSize(mask));
  if (size == *photo_size) return absl::OkStatus();
  return RpcError(
      absl::StatusCode::kInvalidArgument, "MASK_SIZE_DIFFERS",
      absl::StrCat("has ", size.first, " x ", size.second, " px, its photo ", photo_size->first,
                   " x ", photo_size->second, " px; they have to be equal"));
}

absl::StatusOr<PhotoFile> ReadPhoto(const PhotoFolder::Photo& found) {
  PhotoFile photo{.path = found.file.string(),
                  .caption_path = found.caption.string(),
                  .mask_path = found.mask.string()};
  ASSIGN_OR_RETURN(photo.bytes, ReadUserFile(found.file));
  if (!found.mask.empty()) {
    ASSIGN_OR_RETURN(photo.mask_bytes, ReadUserFile(found.mask));
    photo.mask_usable = CheckMask(photo.mask_bytes, photo.bytes);
  }
  if (!found.caption.empty()) {
    ASSIGN_OR_RETURN(std::string text, ReadUserFile(found.caption));
    auto caption = ParseCaption(std::move(text));
    photo.caption_usable = caption.status();
    if (caption.ok()) photo.caption = *std::move(caption);
  }
  photo.usable = CheckPhoto(photo.bytes);
  if (!photo.usable.ok()) return photo;
  ASSIGN_OR_RETURN(photo.header, ReadImageHeader(photo.bytes));
  // The server does not decode what strangers send; a worker would refuse it later.
  if (photo.header.format == ImageFormat::kJpeg) {
    LookingRows rows;
    JpegFacts facts;
    photo.usable = ReadWholeJpeg(
        photo.bytes, rows, [](const char*) {}, &facts);
    if (photo.usable.ok()) photo.look = rows.Finish();
  }
  photo.exif_orientation = ExifOrientation(photo.bytes);
  return photo;
}

// All of it but its bytes.
v1::Photo& AddPhoto(const PhotoFile& photo, google::protobuf::RepeatedPtrField<v1::Photo>* to) {
  v1::Photo& added = *to->Add();
  added.set_caption(photo.caption);
  added.set_file_name(ShownFileName(photo.path));
  if (!photo.mask_path.empty()) {
    added.mutable_mask()->set_file_name(ShownFileName(photo.mask_path));
  }
  return added;
}

// What blobs will hold, by their names.
class Blobs {
 public:
  explicit Blobs(std::string tenant) : tenant_(std::move(tenant)) {}

  std::string Add(absl::string_view bytes) {
    names_.push_back(BlobName{tenant_, Sha256Hex(bytes)}.ToString());
    bytes_.push_back(bytes);
    return names_.back();
  }

  absl::Status Upload(const Connection& connection, std::stop_token stop) const {
    ASSIGN_OR_RETURN(auto missing, FindMissingBlobs(connection, names_, stop));
    for (const auto& name : missing) {
      const auto at = std::find(names_.begin(), names_.end(), name) - names_.begin();
      RETURN_IF_ERROR(UploadBlob(connection, tenant_, bytes_[at], stop).status());
    }
    return absl::OkStatus();
  }

 private:
  const std::string tenant_;
  std::vector<std::string> names_;
  std::vector<absl::string_view> bytes_;
};

}  // namespace

absl::StatusOr<PhotoSet> ReadPhotos(const fs::path& path) {
  ASSIGN_OR_RETURN(PhotoFolder found, ListPhotos(path));
  PhotoSet set{.photos = {}, .left_out = std::move(found.left_out)};
  for (const auto& photo : found.photos) {
    ASSIGN_OR_RETURN(auto read, ReadPhoto(photo));
    set.photos.push_back(std::move(read));
  }
  return set;
}

void DropWhatLiesBeside(PhotoFile& photo) {
  photo.caption.clear();
  photo.caption_path.clear();
  photo.caption_usable = absl::OkStatus();
  photo.mask_path.clear();
  photo.mask_bytes.clear();
  photo.mask_usable = absl::OkStatus();
}

void AddInlinePhotos(const std::vector<PhotoFile>& photos,
                     google::protobuf::RepeatedPtrField<v1::Photo>* to) {
  for (const auto& photo : photos) {
    v1::Photo& added = AddPhoto(photo, to);
    added.set_inline_(photo.bytes);
    if (added.has_mask()) added.mutable_mask()->set_inline_(photo.mask_bytes);
  }
}

absl::Status AddPhotos(const Connection& connection, const std::vector<PhotoFile>& photos,
                       google::protobuf::RepeatedPtrField<v1::Photo>* to, std::stop_token stop,
                       size_t& inline_left) {
  size_t bytes = 0;
  for (const auto& photo : photos) bytes += photo.bytes.size() + photo.mask_bytes.size();
  if (bytes <= inline_left) {
    inline_left -= bytes;
    AddInlinePhotos(photos, to);
    return absl::OkStatus();
  }
  ASSIGN_OR_RETURN(std::string tenant, Tenant(connection));
  Blobs blobs(std::move(tenant));
  for (const auto& photo : photos) {
    v1::Photo& added = AddPhoto(photo, to);
    added.set_blob(blobs.Add(photo.bytes));
    if (added.has_mask()) added.mutable_mask()->set_blob(blobs.Add(photo.mask_bytes));
  }
  return blobs.Upload(connection, stop);
}

absl::Status AddPhotos(const Connection& connection, const std::vector<PhotoFile>& photos,
                       google::protobuf::RepeatedPtrField<v1::Photo>* to, std::stop_token stop) {
  size_t inline_left = kMaxInlineBytes;
  return AddPhotos(connection, photos, to, std::move(stop), inline_left);
}

}  // namespace likeness::client

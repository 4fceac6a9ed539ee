#include "client/lib/photos.h"

#include <algorithm>
#include <utility>

#include "client/lib/jobs.h"
#include "client/lib/upload.h"
#include "common/digest.h"
#include "common/exif.h"
#include "common/jpeg_reader.h"
#include "common/resource_names.h"
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

absl::StatusOr<PhotoFile> ReadPhoto(const PhotoFolder::Photo& found) {
  PhotoFile photo{.path = found.file.string(), .caption_path = found.caption.string()};
  ASSIGN_OR_RETURN(photo.bytes, ReadUserFile(found.file));
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
  added.set_file_name(fs::path(photo.path).filename().string());
  return added;
}

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

void AddInlinePhotos(const std::vector<PhotoFile>& photos,
                     google::protobuf::RepeatedPtrField<v1::Photo>* to) {
  for (const auto& photo : photos) AddPhoto(photo, to).set_inline_(photo.bytes);
}

absl::Status AddPhotos(const Connection& connection, const std::vector<PhotoFile>& photos,
                       google::protobuf::RepeatedPtrField<v1::Photo>* to, std::stop_token stop) {
  size_t bytes = 0;
  for (const auto& photo : photos) bytes += photo.bytes.size();
  const bool inline_bytes = bytes <= kMaxInlineBytes;
  std::string tenant;
  if (!inline_bytes) {
    ASSIGN_OR_RETURN(tenant, Tenant(connection));
  }
  std::vector<std::string> blobs;
  for (const auto& photo : photos) {
    v1::Photo& added = AddPhoto(photo, to);
    if (inline_bytes) {
      added.set_inline_(photo.bytes);
    } else {
      blobs.push_back(BlobName{tenant, Sha256Hex(photo.bytes)}.ToString());
      added.set_blob(blobs.back());
    }
  }
  if (inline_bytes) return absl::OkStatus();
  ASSIGN_OR_RETURN(auto missing, FindMissingBlobs(connection, blobs, stop));
  for (const auto& name : missing) {
    const auto at = std::find(blobs.begin(), blobs.end(), name) - blobs.begin();
    RETURN_IF_ERROR(UploadBlob(connection, tenant, photos[at].bytes, stop).status());
  }
  return absl::OkStatus();
}

}  // namespace likeness::client

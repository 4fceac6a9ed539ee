#include "client/lib/photos.h"

#include <algorithm>
#include <fstream>
#include <iterator>
#include <set>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "client/lib/exif.h"
#include "client/lib/jobs.h"
#include "client/lib/upload.h"
#include "common/digest.h"
#include "common/resource_names.h"
#include "common/status_macros.h"

namespace likeness::client {
namespace {

namespace fs = std::filesystem;

// Pictures by their name, those that will be refused among them: leaving out somebody's HEIC photos
// in silence would be worse than refusing them.
bool IsPictureName(const fs::path& path) {
  static constexpr absl::string_view kSuffixes[] = {".jpg",  ".jpeg", ".jfif", ".png", ".webp",
                                                    ".heic", ".heif", ".avif", ".gif", ".bmp",
                                                    ".tif",  ".tiff", ".jxl",  ".dng"};
  auto suffix = absl::AsciiStrToLower(path.extension().string());
  return std::find(std::begin(kSuffixes), std::end(kSuffixes), suffix) != std::end(kSuffixes);
}

absl::StatusOr<std::string> ReadFile(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) return absl::InvalidArgumentError(absl::StrCat("Cannot read ", path.string(), "."));
  return std::string(std::istreambuf_iterator<char>(file), {});
}

// The text file beside a picture, as other trainers have it too; without the line's end.
absl::StatusOr<std::string> ReadCaption(fs::path picture) {
  const fs::path path = picture.replace_extension(".txt");
  std::error_code error;
  if (!fs::is_regular_file(path, error)) return "";
  ASSIGN_OR_RETURN(const std::string text, ReadFile(path));
  return std::string(absl::StripAsciiWhitespace(text));
}

absl::StatusOr<PhotoFile> ReadPhoto(const fs::path& path) {
  PhotoFile photo{.path = path.string()};
  ASSIGN_OR_RETURN(photo.bytes, ReadFile(path));
  ASSIGN_OR_RETURN(photo.caption, ReadCaption(path));
  photo.usable = CheckPhoto(photo.bytes);
  if (!photo.usable.ok()) return photo;
  ASSIGN_OR_RETURN(photo.header, ReadImageHeader(photo.bytes));
  photo.exif_orientation = ExifOrientation(photo.bytes);
  return photo;
}

// Pictures in a folder by name; others go to `ignored`, but for captions and hidden files.
std::vector<fs::path> ListFolder(const fs::path& folder, std::vector<std::string>& ignored) {
  std::vector<fs::path> pictures;
  std::set<fs::path> captions;  // that would belong to a picture
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(folder, error)) {
    if (!entry.is_regular_file(error) || entry.path().filename().string()[0] == '.') continue;
    if (IsPictureName(entry.path())) {
      pictures.push_back(entry.path());
      captions.insert(fs::path(entry.path()).replace_extension(".txt"));
    } else {
      ignored.push_back(entry.path().string());
    }
  }
  std::sort(pictures.begin(), pictures.end());
  std::erase_if(ignored, [&](const std::string& path) { return captions.contains(path); });
  std::sort(ignored.begin(), ignored.end());
  return pictures;
}

}  // namespace

absl::StatusOr<PhotoSet> ReadPhotos(const fs::path& path) {
  PhotoSet set;
  std::error_code error;
  auto paths = fs::is_directory(path, error) ? ListFolder(path, set.ignored) : std::vector{path};
  if (!fs::exists(path, error)) {
    return absl::InvalidArgumentError(absl::StrCat(path.string(), " does not exist."));
  }
  if (paths.empty()) {
    return absl::InvalidArgumentError(
        absl::StrCat(path.string(), " holds no photos (JPEG, PNG or WebP)."));
  }
  for (const auto& picture : paths) {
    ASSIGN_OR_RETURN(auto photo, ReadPhoto(picture));
    set.photos.push_back(std::move(photo));
  }
  return set;
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
    v1::Photo& added = *to->Add();
    added.set_caption(photo.caption);
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

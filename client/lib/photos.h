// Photos of a subject, from files to the Photo messages of a request.
#pragma once

#include <filesystem>
#include <optional>
#include <stop_token>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "client/lib/connection.h"
#include "common/image_header.h"
#include "common/photo_folder.h"
#include "common/photo_look.h"
#include "google/protobuf/repeated_field.h"
#include "likeness/v1/image.pb.h"

namespace likeness::client {

struct PhotoFile {
  std::string path{};  // as found: "rex/03.jpg"
  std::string bytes{};
  std::string caption{};       // of the text file beside it; empty if there is none
  std::string caption_path{};  // "rex/03.txt"; likewise
  std::string mask_path{};     // "rex/03.mask.png"; likewise
  std::string mask_bytes{};
  absl::Status usable{};          // why the server or a worker would refuse it, or OK
  absl::Status caption_usable{};  // likewise the caption (common/photo_folder.h)
  absl::Status mask_usable{};     // likewise the mask: as a photo, and for its size
  ImageHeader header{};           // if usable
  int exif_orientation = 1;
  std::optional<PhotoLook> look{};  // of a JPEG file that is grey or in R G B
};

struct PhotoSet {
  std::vector<PhotoFile> photos;               // in the order of their names
  std::vector<PhotoFolder::LeftOut> left_out;  // what else lies in the folder
};

// The photos in `path`, a folder or one file, by the rule of common/photo_folder.h.
// INVALID_ARGUMENT: there are none, or one cannot be read. A photo, caption or mask that would
// be refused is in the set, with its reason.
absl::StatusOr<PhotoSet> ReadPhotos(const std::filesystem::path& path);

// Its caption and its mask, for a photo that is to be sent without them.
void DropWhatLiesBeside(PhotoFile& photo);

// Sets of more bytes than this travel as blobs, of which the server keeps one copy however often
// they are used.
inline constexpr size_t kMaxInlineBytes = 8 << 20;

// Appends `photos` to a request, inline.
void AddInlinePhotos(const std::vector<PhotoFile>& photos,
                     google::protobuf::RepeatedPtrField<v1::Photo>* to);

// Appends `photos` to a request: inline, or as blobs uploaded now. `inline_left`: how many bytes
// may still travel inline; of a request with several sets, which share them.
absl::Status AddPhotos(const Connection& connection, const std::vector<PhotoFile>& photos,
                       google::protobuf::RepeatedPtrField<v1::Photo>* to, std::stop_token stop,
                       size_t& inline_left);
// The same for the only set of a request.
absl::Status AddPhotos(const Connection& connection, const std::vector<PhotoFile>& photos,
                       google::protobuf::RepeatedPtrField<v1::Photo>* to,
                       std::stop_token stop = {});

}  // namespace likeness::client

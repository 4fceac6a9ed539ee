// Photos of a subject, from files to the Photo messages of a request.
#pragma once

#include <filesystem>
#include <stop_token>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "client/lib/connection.h"
#include "common/image_header.h"
#include "google/protobuf/repeated_field.h"
#include "likeness/v1/image.pb.h"

namespace likeness::client {

struct PhotoFile {
  std::string path{};  // as found: "rex/03.jpg"
  std::string bytes{};
  std::string caption{};  // of the text file beside it, "rex/03.txt"; empty if there is none
  absl::Status usable{};  // why the server would refuse it (common/image_header.h), or OK
  ImageHeader header{};   // if usable
  int exif_orientation = 1;
};

struct PhotoSet {
  std::vector<PhotoFile> photos;  // in the order of their names
  std::vector<std::string>
      ignored;  // files in the folder that are neither pictures by their name nor captions
};

// The photos in `path`, a folder (not its subfolders) or one file. INVALID_ARGUMENT: it does not
// exist, cannot be read, or holds no picture. A picture that the server would refuse is in the set,
// with its reason.
absl::StatusOr<PhotoSet> ReadPhotos(const std::filesystem::path& path);

// Sets of more bytes than this travel as blobs, of which the server keeps one copy however often
// they are used.
inline constexpr size_t kMaxInlineBytes = 8 << 20;

// Appends `photos` to a request: inline, or as blobs uploaded now.
absl::Status AddPhotos(const Connection& connection, const std::vector<PhotoFile>& photos,
                       google::protobuf::RepeatedPtrField<v1::Photo>* to,
                       std::stop_token stop = {});

}  // namespace likeness::client

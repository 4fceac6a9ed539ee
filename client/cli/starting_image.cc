#include "client/cli/starting_image.h"

#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "client/lib/photos.h"
#include "common/status_macros.h"

namespace likeness::client {
namespace {

absl::StatusOr<PhotoFile> ReadPicture(const std::string& path, absl::string_view flag) {
  ASSIGN_OR_RETURN(PhotoSet found, ReadPhotos(path));
  if (found.photos.size() != 1) {
    return absl::InvalidArgumentError(absl::StrCat(flag, " is '", path, "', a folder of ",
                                                   found.photos.size(),
                                                   " pictures; one file is allowed."));
  }
  PhotoFile picture = std::move(found.photos.front());
  if (!picture.usable.ok()) {
    return absl::InvalidArgumentError(
        absl::StrCat(flag, " is '", path, "': ", picture.usable.message(), "."));
  }
  DropWhatLiesBeside(picture);
  return picture;
}

}  // namespace

void StartingImageFlags::AddTo(FlagSet& flags) {
  flags.Add("image", &image, "A picture to start from, scaled and cut to what is drawn.")
      .Takes("FILE");
  flags
      .Add("strength", &strength,
           "How much the picture is changed: the share of the steps that are run, above 0 to 1 "
           "[0.8].")
      .Takes("X");
  flags
      .Add("mask", &mask,
           "A picture of the same size: white is drawn anew, black is kept [all white].")
      .Takes("FILE");
}

absl::Status StartingImageFlags::AddTo(v1::GenerateSpec& spec, const Connection& connection,
                                       std::stop_token stop) const {
  if (image.empty()) {
    if (mask.empty() && !strength) return absl::OkStatus();
    return absl::InvalidArgumentError(absl::StrCat(mask.empty() ? "--strength" : "--mask",
                                                   " needs --image, the picture to start from."));
  }
  std::vector<PhotoFile> files;
  ASSIGN_OR_RETURN(files.emplace_back(), ReadPicture(image, "--image"));
  if (!mask.empty()) {
    ASSIGN_OR_RETURN(files.emplace_back(), ReadPicture(mask, "--mask"));
  }
  google::protobuf::RepeatedPtrField<v1::Photo> photos;
  RETURN_IF_ERROR(AddPhotos(connection, files, &photos, std::move(stop)));
  v1::ImageToImage& start = *spec.mutable_image_to_image();
  *start.mutable_image() = std::move(photos[0]);
  if (!mask.empty()) *start.mutable_mask() = std::move(photos[1]);
  if (strength) start.set_strength(*strength);
  return absl::OkStatus();
}

}  // namespace likeness::client

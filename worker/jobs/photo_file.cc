#include "worker/jobs/photo_file.h"

#include <filesystem>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "common/logging.h"
#include "common/rpc_error.h"
#include "worker/base/error.h"
#include "worker/images/decode.h"
#include "worker/support/files.h"
#include "worker/support/guard.h"

namespace likeness {

Image FetchPhotoFile(const v1::Photo& photo, const std::string& path, const std::string& field,
                     JobEnvironment& environment, Conversions& conversions,
                     const std::function<Image(const Image& whole)>& use) {
  const auto file = environment.scratch() / "photo";
  environment.FetchBlob(photo.blob(), file, {});
  const std::string bytes = ReadFile(file);
  std::filesystem::remove(file);
  const LogScope scope({{"photo", field}});
  try {
    const DecodedPhoto decoded = DecodePhoto(bytes);
    for (const auto& warning : decoded.warnings) {
      environment.Warn(absl::StrCat(field, ": ", warning));
    }
    if (!decoded.converted_from.empty()) conversions[decoded.converted_from].push_back(field);
    return use(decoded.image);
  } catch (const Error& error) {
    if (error.kind() != ErrorKind::kInvalidArgument) throw;
    throw StatusError(InvalidField(path + field, error.what(), "PHOTO_UNUSABLE"));
  }
}

std::optional<CropBox> CropBoxOf(const v1::Photo& photo) {
  if (!photo.has_crop_box()) return std::nullopt;
  const auto& box = photo.crop_box();
  return CropBox{box.left(), box.top(), box.width(), box.height()};
}

void WarnOfConversions(const Conversions& conversions, JobEnvironment& environment) {
  for (const auto& [profile, fields] : conversions) {
    environment.Warn(absl::StrCat(absl::StrJoin(fields, ", "), ": colours converted from ", profile,
                                  " to sRGB"));
  }
}

}  // namespace likeness

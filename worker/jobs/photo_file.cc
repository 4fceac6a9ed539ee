#include "worker/jobs/photo_file.h"

#include <algorithm>
#include <filesystem>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "common/logging.h"
#include "common/rpc_error.h"
#include "worker/base/error.h"
#include "worker/support/files.h"
#include "worker/support/guard.h"

namespace likeness {
namespace {

// Pillow's weights of red, green and blue (mode "L").
void MakeGrey(Image& image) {
  for (size_t i = 0; i < image.rgb.size(); i += 3) {
    uint8_t* p = &image.rgb[i];
    const uint32_t grey = (19595u * p[0] + 38470u * p[1] + 7471u * p[2] + 0x8000u) >> 16;
    p[0] = p[1] = p[2] = static_cast<uint8_t>(grey);
  }
}

}  // namespace

Image FetchPhotoFile(const v1::Photo& photo, const std::string& path, const std::string& field,
                     JobEnvironment& environment, Conversions& conversions,
                     const std::function<Image(const DecodedPhoto& photo)>& use) {
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
    return use(decoded);
  } catch (const Error& error) {
    if (error.kind() != ErrorKind::kInvalidArgument) throw;
    throw StatusError(InvalidField(path + field, error.what(), "PHOTO_UNUSABLE"));
  }
}

Image FetchMaskFile(const v1::Photo& mask, const std::string& path, const std::string& field,
                    int width, int height, JobEnvironment& environment,
                    const std::function<Image(const Image& whole)>& cut) {
  Conversions conversions;  // the colours of a mask mean nothing
  return FetchPhotoFile(
      mask, path, field, environment, conversions, [&](const DecodedPhoto& decoded) {
        const Image& whole = decoded.image;
        if (whole.width != width || whole.height != height) {
          throw StatusError(InvalidField(
              path + field,
              absl::StrFormat("has %d x %d px, its image %d x %d px; they have to be equal",
                              whole.width, whole.height, width, height),
              "MASK_SIZE_DIFFERS"));
        }
        Image fitting = cut(whole);
        MakeGrey(fitting);
        return fitting;
      });
}

std::vector<Image> FetchSquarePhotos(const google::protobuf::RepeatedPtrField<v1::Photo>& photos,
                                     const std::string& path, const std::string& list,
                                     int image_size, JobEnvironment& environment,
                                     std::vector<MicroConditioning>* cuts) {
  std::vector<Image> images;
  Conversions conversions;
  for (int i = 0; i < photos.size(); ++i) {
    const auto cut = [&](const DecodedPhoto& decoded) {
      const Image& whole = decoded.image;
      const auto box = CropBoxOf(photos[i]);
      if (cuts != nullptr) {
        cuts->push_back(CutAndScaled(whole.width, whole.height, box, image_size, image_size));
      }
      return SquarePhoto(whole, box, image_size);
    };
    images.push_back(FetchPhotoFile(photos[i], path, absl::StrCat(list, "[", i, "]"), environment,
                                    conversions, cut));
  }
  WarnOfConversions(conversions, environment);
  return images;
}

std::optional<CropBox> CropBoxOf(const v1::Photo& photo) {
  if (!photo.has_crop_box()) return std::nullopt;
  const auto& box = photo.crop_box();
  return CropBox{box.left(), box.top(), box.width(), box.height()};
}

void WarnOfConversions(const Conversions& conversions, JobEnvironment& environment) {
  constexpr size_t kMostNamed = 10;
  for (const auto& [profile, fields] : conversions) {
    const size_t named = std::min(fields.size(), kMostNamed);
    const std::string names = absl::StrJoin(fields.begin(), fields.begin() + named, ", ");
    const size_t more = fields.size() - named;
    environment.Warn(absl::StrCat(names, more > 0 ? absl::StrCat(" and ", more, " more") : "",
                                  ": colours converted from ", profile, " to sRGB"));
  }
}

}  // namespace likeness

#include "worker/jobs/starting_image.h"

#include <string>
#include <utility>

#include "absl/strings/str_format.h"
#include "common/rpc_error.h"
#include "worker/images/crop.h"
#include "worker/jobs/photo_file.h"
#include "worker/support/guard.h"

namespace likeness {

std::optional<ImageToImage> FetchStartingImage(const v1::GenerateSpec& resolved,
                                               JobEnvironment& environment) {
  if (!resolved.has_image_to_image()) return std::nullopt;
  const v1::ImageToImage& start = resolved.image_to_image();
  constexpr char kPath[] = "job.generate.image_to_image.";
  Conversions conversions;
  const auto box = CropBoxOf(start.image());
  const auto fit = [&](const Image& whole) {
    return Cover(box ? Crop(whole, *box) : whole, resolved.width(), resolved.height());
  };
  std::pair<int, int> size;  // of the image, as it came
  ImageToImage from;
  from.strength = start.strength();
  from.image = FetchPhotoFile(start.image(), kPath, "image", environment, conversions,
                              [&](const Image& whole) {
                                size = {whole.width, whole.height};
                                return fit(whole);
                              });
  WarnOfConversions(conversions, environment);
  if (!start.has_mask()) return from;
  Conversions of_mask;  // whose colours mean nothing
  from.mask =
      FetchPhotoFile(start.mask(), kPath, "mask", environment, of_mask, [&](const Image& whole) {
        if (std::pair(whole.width, whole.height) != size) {
          throw StatusError(InvalidField(
              std::string(kPath) + "mask",
              absl::StrFormat("has %d x %d px, the image %d x %d px; they have to be equal",
                              whole.width, whole.height, size.first, size.second),
              "MASK_SIZE_DIFFERS"));
        }
        return fit(whole);
      });
  return from;
}

}  // namespace likeness

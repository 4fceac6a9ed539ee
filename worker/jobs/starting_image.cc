#include "worker/jobs/starting_image.h"

#include <string>
#include <utility>

#include "worker/images/crop.h"
#include "worker/jobs/photo_file.h"

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
                              [&](const DecodedPhoto& photo) {
                                size = {photo.image.width, photo.image.height};
                                return fit(photo.image);
                              });
  WarnOfConversions(conversions, environment);
  if (!start.has_mask()) return from;
  from.mask = FetchMaskFile(start.mask(), kPath, "mask", size.first, size.second, environment, fit);
  return from;
}

}  // namespace likeness

#include "worker/images/decode.h"

#include <opencv2/core.hpp>
#include <opencv2/imgproc.hpp>
#include <string>
#include <utility>

#include "common/exif.h"
#include "common/image_header.h"
#include "worker/base/error.h"
#include "worker/images/colour.h"
#include "worker/images/decoded_file.h"
#include "worker/images/mat.h"

namespace likeness {
namespace {

DecodedFile DecodeFile(std::string_view bytes, ImageFormat format) {
  switch (format) {
    case ImageFormat::kJpeg:
      return DecodeJpeg(bytes);
    case ImageFormat::kPng:
      return DecodePng(bytes);
    case ImageFormat::kWebp:
      return DecodeWebp(bytes);
  }
  throw Error(ErrorKind::kInternal, "a format without a decoder");
}

void LayOverWhite(cv::Mat3b& rgb, const cv::Mat1b& opacity) {
  for (int y = 0; y < rgb.rows; ++y) {
    for (int x = 0; x < rgb.cols; ++x) {
      const int a = opacity(y, x);
      for (auto& value : rgb(y, x).val) {
        value = static_cast<uint8_t>((value * a + 255 * (255 - a) + 127) / 255);
      }
    }
  }
}

// Orientations as EXIF 2.32 numbers them (tag 0x0112): where row 0 and column 0 of the file are in
// the upright picture.
cv::Mat3b Upright(cv::Mat3b rgb, int orientation) {
  if (orientation >= 5) cv::transpose(rgb, rgb);
  if (orientation == 2 || orientation == 3 || orientation == 6 || orientation == 7) {
    cv::flip(rgb, rgb, 1);
  }
  if (orientation == 3 || orientation == 4 || orientation == 7 || orientation == 8) {
    cv::flip(rgb, rgb, 0);
  }
  return rgb;
}

}  // namespace

DecodedPhoto DecodePhoto(std::string_view bytes) {
  const absl::string_view file_bytes(bytes.data(), bytes.size());
  if (auto status = CheckPhoto(file_bytes); !status.ok()) {
    throw Error(ErrorKind::kInvalidArgument, std::string(status.message()));
  }
  DecodedFile file = DecodeFile(bytes, ReadImageHeader(file_bytes)->format);
  SrgbPixels pixels = ToSrgb(file);
  DecodedPhoto photo{.image = {},
                     .opacity = {},
                     .converted_from = std::move(pixels.converted_from),
                     .warnings = std::move(file.warnings)};
  if (file.profile_unusable || pixels.profile_unusable) {
    photo.warnings.push_back("the colour profile cannot be used; colours are taken as sRGB");
  }
  const int orientation = ExifOrientation(file_bytes);
  if (!file.alpha.empty()) {
    const cv::Mat1b opacity = ToEightBits(file.alpha);
    LayOverWhite(pixels.rgb, opacity);
    if (cv::countNonZero(opacity != 255) > 0) {
      cv::Mat3b grey;
      cv::cvtColor(opacity, grey, cv::COLOR_GRAY2RGB);
      photo.opacity = ToImage(Upright(grey, orientation));
    }
  }
  photo.image = ToImage(Upright(pixels.rgb, orientation));
  return photo;
}

}  // namespace likeness

#include "worker/images/decode.h"

#include <opencv2/imgcodecs.hpp>
#include <opencv2/imgproc.hpp>
#include <string>

#include "common/image_header.h"
#include "worker/base/error.h"
#include "worker/images/exif.h"
#include "worker/images/mat.h"

namespace likeness {
namespace {

cv::Mat DecodePixels(std::string_view bytes) {
  const cv::Mat buffer(1, static_cast<int>(bytes.size()), CV_8U, const_cast<char*>(bytes.data()));
  try {
    cv::Mat pixels = cv::imdecode(buffer, cv::IMREAD_UNCHANGED);
    if (!pixels.empty()) return pixels;
  } catch (const cv::Exception&) {
    // What OpenCV says names its own sources; the caller needs to know that the file is at fault.
  }
  throw Error(ErrorKind::kInvalidArgument, "the picture cannot be decoded: the file is corrupt");
}

cv::Mat ToEightBits(const cv::Mat& pixels) {
  if (pixels.depth() == CV_8U) return pixels;
  if (pixels.depth() != CV_16U) {
    throw Error(ErrorKind::kInvalidArgument, "the picture has neither 8 nor 16 bits a channel");
  }
  cv::Mat narrow;
  pixels.convertTo(narrow, CV_8U, 1 / 257.0);  // 65535 becomes 255
  return narrow;
}

cv::Mat3b LayOverWhite(const cv::Mat4b& bgra) {
  cv::Mat3b rgb(bgra.size());
  for (int y = 0; y < bgra.rows; ++y) {
    for (int x = 0; x < bgra.cols; ++x) {
      const auto& pixel = bgra(y, x);
      const int alpha = pixel[3];
      for (int c = 0; c < 3; ++c) {
        rgb(y, x)[c] =
            static_cast<uint8_t>((pixel[2 - c] * alpha + 255 * (255 - alpha) + 127) / 255);
      }
    }
  }
  return rgb;
}

cv::Mat3b ToRgb(const cv::Mat& pixels) {
  cv::Mat3b rgb;
  switch (pixels.channels()) {
    case 1:
      cv::cvtColor(pixels, rgb, cv::COLOR_GRAY2RGB);
      return rgb;
    case 3:
      cv::cvtColor(pixels, rgb, cv::COLOR_BGR2RGB);
      return rgb;
    case 4:
      return LayOverWhite(pixels);
    default:
      throw Error(ErrorKind::kInvalidArgument, "the picture has " +
                                                   std::to_string(pixels.channels()) +
                                                   " channels; 1, 3 and 4 are allowed");
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

Image DecodePhoto(std::string_view bytes) {
  if (auto status = CheckPhoto({bytes.data(), bytes.size()}); !status.ok()) {
    throw Error(ErrorKind::kInvalidArgument, std::string(status.message()));
  }
  return ToImage(Upright(ToRgb(ToEightBits(DecodePixels(bytes))), ExifOrientation(bytes)));
}

}  // namespace likeness

#include "worker/images/encode.h"

#include <opencv2/imgcodecs.hpp>
#include <opencv2/imgproc.hpp>
#include <vector>

#include "worker/base/error.h"
#include "worker/images/mat.h"

namespace likeness {
namespace {

std::string Encode(const Image& image, const char* extension, const std::vector<int>& settings) {
  if (image.rgb.empty()) throw Error(ErrorKind::kInternal, "an empty image cannot be encoded");
  cv::Mat3b bgr;
  cv::cvtColor(ConstView(image), bgr, cv::COLOR_RGB2BGR);
  std::vector<uint8_t> file;
  cv::imencode(extension, bgr, file, settings);
  return {file.begin(), file.end()};
}

}  // namespace

std::string EncodePng(const Image& image) {
  return Encode(image, ".png", {cv::IMWRITE_PNG_COMPRESSION, 6});
}

std::string EncodeJpeg(const Image& image, int quality) {
  return Encode(image, ".jpg", {cv::IMWRITE_JPEG_QUALITY, quality});
}

}  // namespace likeness

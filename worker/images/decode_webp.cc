#include <opencv2/imgcodecs.hpp>
#include <opencv2/imgproc.hpp>

#include "common/image_chunks.h"
#include "common/image_header.h"
#include "worker/base/error.h"
#include "worker/images/decoded_file.h"

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

}  // namespace

DecodedFile DecodeWebp(std::string_view bytes) {
  const cv::Mat pixels = DecodePixels(bytes);  // B G R, or B G R alpha
  DecodedFile file;
  const auto profile = WebpChunk({bytes.data(), bytes.size()}, "ICCP");
  file.profile_unusable = profile.size() > kMaxProfileBytes;
  if (!file.profile_unusable) file.colour_profile = std::string(profile);
  if (pixels.channels() == 4) {
    cv::extractChannel(pixels, file.alpha, 3);
    cv::cvtColor(pixels, file.colours, cv::COLOR_BGRA2RGB);
  } else {
    cv::cvtColor(pixels, file.colours, cv::COLOR_BGR2RGB);
  }
  return file;
}

}  // namespace likeness

#include "worker/images/crop.h"

#include <algorithm>
#include <cmath>
#include <opencv2/imgproc.hpp>
#include <string>

#include "worker/base/error.h"
#include "worker/images/mat.h"

namespace likeness {
namespace {

std::string Size(int width, int height) {
  return std::to_string(width) + " x " + std::to_string(height) + " px";
}

}  // namespace

CropBox SquareAround(double middle_x, double middle_y, double side, const Image& image) {
  const int most = std::min(image.width, image.height);
  const int sides = std::clamp(static_cast<int>(std::lround(std::min(side, double{1 << 30}))),
                               kMinCropSide, most);
  const auto begin = [&](double middle, int whole) {
    return std::clamp(static_cast<int>(std::lround(middle - sides / 2.0)), 0, whole - sides);
  };
  return {.left = begin(middle_x, image.width),
          .top = begin(middle_y, image.height),
          .width = sides,
          .height = sides};
}

Image Crop(const Image& image, const CropBox& box) {
  if (box.width < kMinCropSide || box.height < kMinCropSide) {
    throw Error(ErrorKind::kInvalidArgument, "the crop box is " + Size(box.width, box.height) +
                                                 "; at least " + std::to_string(kMinCropSide) +
                                                 " px a side are needed");
  }
  if (box.left < 0 || box.top < 0 || box.left > image.width - box.width ||
      box.top > image.height - box.height) {
    throw Error(ErrorKind::kInvalidArgument,
                "the crop box of " + Size(box.width, box.height) + " at (" +
                    std::to_string(box.left) + ", " + std::to_string(box.top) +
                    ") reaches outside the picture of " + Size(image.width, image.height));
  }
  return ToImage(ConstView(image)(cv::Rect(box.left, box.top, box.width, box.height)));
}

Image CropCentreSquare(const Image& image) {
  const int side = std::min(image.width, image.height);
  const cv::Rect middle((image.width - side) / 2, (image.height - side) / 2, side, side);
  return ToImage(ConstView(image)(middle));
}

Image Resize(const Image& image, int width, int height) {
  const bool grows = width > image.width || height > image.height;
  cv::Mat3b resized;
  cv::resize(ConstView(image), resized, {width, height}, 0, 0,
             grows ? cv::INTER_CUBIC : cv::INTER_AREA);
  return ToImage(resized);
}

Image Cover(const Image& image, int width, int height) {
  const double scale = std::min(static_cast<double>(image.width) / width,
                                static_cast<double>(image.height) / height);
  const int cut_width = std::clamp(cvRound(scale * width), 1, image.width);
  const int cut_height = std::clamp(cvRound(scale * height), 1, image.height);
  const cv::Rect middle((image.width - cut_width) / 2, (image.height - cut_height) / 2, cut_width,
                        cut_height);
  return Resize(ToImage(ConstView(image)(middle)), width, height);
}

MicroConditioning CutAndScaled(int from_width, int from_height, const std::optional<CropBox>& box,
                               int width, int height) {
  const CropBox part = box.value_or(CropBox{.width = from_width, .height = from_height});
  const bool wide = int64_t{part.width} * height > int64_t{part.height} * width;
  const double scale = wide ? double{1} * height / part.height : double{1} * width / part.width;
  // The longer side is cut to a whole number, halves are rounded to even ones, as torchvision and
  // Python have it.
  const int64_t scaled_width = wide ? int64_t{part.width} * height / part.height : width;
  const int64_t scaled_height = wide ? height : int64_t{part.height} * width / part.width;
  const auto place = [&](int before, int64_t scaled, int kept) {
    return std::llround(before * scale) + std::llrint(static_cast<double>(scaled - kept) / 2);
  };
  const int right = from_width - part.left - part.width;  // of the part
  return {.original_height = from_height,
          .original_width = from_width,
          .crop_top = place(part.top, scaled_height, height),
          .crop_left = place(part.left, scaled_width, width),
          .target_height = height,
          .target_width = width,
          .mirrored_crop_left = place(right, scaled_width, width)};
}

Image SquarePhoto(const Image& image, const std::optional<CropBox>& box, int size) {
  return Resize(CropCentreSquare(box ? Crop(image, *box) : image), size, size);
}

}  // namespace likeness

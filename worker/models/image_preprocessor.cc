#include "worker/models/image_preprocessor.h"

#include <algorithm>
#include <cmath>
#include <string>
#include <tuple>
#include <utility>

#include "third_party/nlohmann/json.hpp"
#include "worker/base/io/config_reader.h"

namespace likeness {
namespace {

using nlohmann::json;

// Of Pillow.
constexpr int64_t kBilinear = 2;
constexpr int64_t kBicubic = 3;
constexpr int64_t kLargestSide = 4096;

int64_t ReadSide(ConfigReader& reader, const std::string& name, const json& value) {
  int64_t side = 0;
  if (!ConvertJson(value, side) || side < 1 || side > kLargestSide) {
    reader.Refuse(name, "is not supported; whole numbers of 1 to 4096 are allowed");
  }
  return side;
}

// {"height": h, "width": w}, or a number for both.
std::pair<int64_t, int64_t> ReadBoth(ConfigReader& reader, const std::string& name,
                                     const json& value) {
  if (!value.is_object()) {
    const int64_t side = ReadSide(reader, name, value);
    return {side, side};
  }
  if (value.size() != 2 || !value.contains("height") || !value.contains("width")) {
    reader.Refuse(name, "is not supported; it may be a number, or height and width");
  }
  return {ReadSide(reader, name, value.at("height")), ReadSide(reader, name, value.at("width"))};
}

void ReadResize(ConfigReader& reader, const json& config, bool clip,
                ImagePreprocessorOptions& options) {
  const json size = reader.Has("size") ? config.at("size") : json(224);
  if (size.is_object() && size.size() == 1 && size.contains("shortest_edge")) {
    options.shortest_edge = ReadSide(reader, "size", size.at("shortest_edge"));
  } else if (clip && !size.is_object()) {
    options.shortest_edge = ReadSide(reader, "size", size);
  } else {
    std::tie(options.resize_height, options.resize_width) = ReadBoth(reader, "size", size);
  }
  int64_t resample = clip ? kBicubic : kBilinear;
  reader.Read("resample", resample);
  if (resample != kBilinear && resample != kBicubic) {
    reader.Refuse("resample", "is not supported; it may be 2 (bilinear) or 3 (bicubic)");
  }
  options.bicubic = resample == kBicubic;
}

// With antialias, to whole levels of 8 bits.
torch::Tensor ResizeAtOnce(const torch::Tensor& pixels_1CHW, int64_t height, int64_t width,
                           bool bicubic) {
  if (pixels_1CHW.size(2) == height && pixels_1CHW.size(3) == width) return pixels_1CHW;
  const std::vector<int64_t> size = {height, width};
  const auto resized =
      bicubic ? at::_upsample_bicubic2d_aa(pixels_1CHW, size, /*align_corners=*/false)
              : at::_upsample_bilinear2d_aa(pixels_1CHW, size, /*align_corners=*/false);
  return resized.add_(0.5).floor_().clamp_(0, 255);  // halves up, as Pillow rounds
}

// One side after the other: values that overshoot are cut in between, as Pillow cuts them.
torch::Tensor ResizeByLevels(const torch::Tensor& pixels_1CHW, int64_t height, int64_t width,
                             bool bicubic) {
  const int64_t from_height = pixels_1CHW.size(2), from_width = pixels_1CHW.size(3);
  const int64_t lost = from_height - height;
  const bool height_first = lost > 0 && lost > 2 * (from_width - width);
  const auto halfway = height_first ? ResizeAtOnce(pixels_1CHW, height, from_width, bicubic)
                                    : ResizeAtOnce(pixels_1CHW, from_height, width, bicubic);
  return ResizeAtOnce(halfway, height, width, bicubic);
}

}  // namespace

ImagePreprocessorOptions ImagePreprocessorOptions::FromJson(const json& config, bool clip) {
  ImagePreprocessorOptions options;
  ConfigReader reader("preprocessor", config);
  reader.Read("do_resize", options.resize);
  ReadResize(reader, config, clip, options);
  options.crop = clip;
  reader.Read("do_center_crop", options.crop);
  const json crop_size = reader.Has("crop_size") ? config.at("crop_size") : json(224);
  const auto cropped = ReadBoth(reader, "crop_size", crop_size);
  if (options.crop) {
    std::tie(options.height, options.width) = cropped;
  } else {
    if (!options.resize || options.shortest_edge > 0) {
      reader.Refuse("do_center_crop", "must be true where do_resize leaves the proportions");
    }
    options.height = options.resize_height;
    options.width = options.resize_width;
  }
  reader.Require("do_rescale", true);
  reader.Require("do_normalize", true);
  double factor = 1.0 / 255;
  reader.Read("rescale_factor", factor);
  if (std::abs(factor * 255 - 1) > 1e-6) reader.Refuse("rescale_factor", "is not 1 / 255");
  reader.Read("image_mean", options.mean);
  reader.Read("image_std", options.deviation);
  if (options.mean.size() != 3) reader.Refuse("image_mean", "does not have 3 entries");
  if (options.deviation.size() != 3 ||
      std::any_of(options.deviation.begin(), options.deviation.end(),
                  [](double x) { return !(x > 0); })) {
    reader.Refuse("image_std", "does not have 3 entries above 0");
  }
  reader.Ignore({"size", "crop_size", "do_convert_rgb", "image_processor_type",
                 "feature_extractor_type", "processor_class", "data_format", "device",
                 "input_data_format", "disable_grouping", "return_tensors", "default_to_square"});
  reader.Finish();
  return options;
}

ImagePreprocessor::ImagePreprocessor(ImagePreprocessorOptions options)
    : options_(std::move(options)) {}

torch::Tensor ImagePreprocessor::operator()(const Image& image) const {
  auto bytes_HWC = torch::from_blob(const_cast<uint8_t*>(image.rgb.data()),
                                    {image.height, image.width, 3}, torch::kUInt8);
  auto pixels_1CHW = bytes_HWC.permute({2, 0, 1}).unsqueeze(0).to(torch::kFloat32).contiguous();
  if (options_.resize) {
    int64_t height = options_.resize_height, width = options_.resize_width;
    if (options_.shortest_edge > 0) {
      const int64_t shorter = std::min(image.height, image.width);
      height = options_.shortest_edge * image.height / shorter;
      width = options_.shortest_edge * image.width / shorter;
    }
    pixels_1CHW = ResizeByLevels(pixels_1CHW, height, width, options_.bicubic);
  }
  if (options_.crop) {
    // Where the picture is smaller, zeros stand around it.
    const int64_t missing_y = std::max<int64_t>(0, options_.height - pixels_1CHW.size(2));
    const int64_t missing_x = std::max<int64_t>(0, options_.width - pixels_1CHW.size(3));
    if (missing_y > 0 || missing_x > 0) {
      pixels_1CHW = torch::constant_pad_nd(pixels_1CHW, {missing_x / 2, missing_x - missing_x / 2,
                                                         missing_y / 2, missing_y - missing_y / 2});
    }
    const int64_t top = (pixels_1CHW.size(2) - options_.height) / 2;
    const int64_t left = (pixels_1CHW.size(3) - options_.width) / 2;
    pixels_1CHW = pixels_1CHW.narrow(2, top, options_.height).narrow(3, left, options_.width);
  }
  const auto mean = torch::tensor(options_.mean, torch::kFloat32).view({1, 3, 1, 1});
  const auto deviation = torch::tensor(options_.deviation, torch::kFloat32).view({1, 3, 1, 1});
  return (pixels_1CHW / 255 - mean) / deviation;
}

}  // namespace likeness

#include "worker/images/object_segmenter.h"

#include <algorithm>
#include <cmath>
#include <opencv2/dnn.hpp>
#include <opencv2/imgproc.hpp>
#include <vector>

#include "absl/strings/str_cat.h"
#include "worker/base/error.h"
#include "worker/images/mat.h"
#include "worker/images/onnx_file.h"
#include "worker/images/run_network.h"

namespace likeness {
namespace {

constexpr float kStandsOut = 0.5F;
constexpr double kCropSides = 1.1;  // the crop's side in the longer side of the object

constexpr char kNoSegmenter[] =
    "the segmentation network is not one that can be run; U2-Net and IS-Net are, as "
    "ONNX in float32";

}  // namespace

SegmenterOptions SegmenterOptions::Of(const std::string& model_type) {
  if (model_type == "u2net") {
    return {.side = 320,
            .by_brightest = true,
            .mean = {0.485F, 0.456F, 0.406F},
            .scale = {0.229F, 0.224F, 0.225F}};
  }
  return {.side = 1024, .by_brightest = false, .mean = {0.5F, 0.5F, 0.5F}, .scale = {1, 1, 1}};
}

std::optional<Image> MaskOf(const float* probabilities, int rows, int columns, const Image& image) {
  cv::Mat1f found(rows, columns);
  std::copy_n(probabilities, static_cast<size_t>(rows) * columns, found.begin());
  if (!cv::checkRange(found)) {
    throw Error(ErrorKind::kFailedPrecondition,
                "the segmentation network gives values that are not finite: its weights are "
                "damaged");
  }
  double least = 0, most = 0;
  cv::minMaxLoc(found, &least, &most);
  if (most < kStandsOut) return std::nullopt;
  // Both references spread what they find over all greys.
  const double spread = most > least ? most - least : 1;
  cv::Mat1b grey;
  found.convertTo(grey, CV_8U, 255 / spread, most > least ? -255 * least / spread : 0);
  cv::Mat1b sized;
  cv::resize(grey, sized, {image.width, image.height}, 0, 0, cv::INTER_LINEAR);
  cv::Mat3b mask;
  cv::cvtColor(sized, mask, cv::COLOR_GRAY2RGB);
  return ToImage(mask);
}

CropBox SquareAroundObject(const Image& mask) {
  cv::Mat1b grey;
  cv::extractChannel(ConstView(mask), grey, 0);
  const cv::Rect box = cv::boundingRect(grey > 127);
  return SquareAround(box.x + box.width / 2.0, box.y + box.height / 2.0,
                      kCropSides * std::max(box.width, box.height), mask);
}

struct ObjectSegmenter::Network {
  cv::dnn::Net net;
};

ObjectSegmenter::ObjectSegmenter(const SegmenterOptions& options, const std::filesystem::path& onnx)
    : options_(options), network_(std::make_unique<Network>()) {
  const std::vector<uint8_t> bytes = ReadOnnx(onnx);
  network_->net = RunNetwork(kNoSegmenter, [&] { return cv::dnn::readNetFromONNX(bytes); });
}

ObjectSegmenter::~ObjectSegmenter() = default;
ObjectSegmenter::ObjectSegmenter(ObjectSegmenter&&) noexcept = default;

std::optional<Image> ObjectSegmenter::Segment(const Image& image) {
  const Image read = Resize(image, options_.side, options_.side);
  const float whole = options_.by_brightest
                          ? static_cast<float>(std::max<int>(
                                1, *std::max_element(read.rgb.begin(), read.rgb.end())))
                          : 255.0F;
  cv::Mat3f pixels(options_.side, options_.side);
  for (size_t i = 0; i < read.rgb.size(); ++i) {
    const size_t channel = i % 3;
    pixels.ptr<float>()[i] = (static_cast<float>(read.rgb[i]) / whole - options_.mean[channel]) /
                             options_.scale[channel];
  }
  const cv::Mat found = RunNetwork(kNoSegmenter, [&] {
    // Of several outputs, which have ascending numbers, the first is the finest.
    const auto outputs = network_->net.getUnconnectedOutLayers();
    CV_Assert(!outputs.empty());
    const int finest = *std::min_element(outputs.begin(), outputs.end());
    network_->net.setInput(cv::dnn::blobFromImage(pixels));
    cv::Mat out = network_->net.forward(network_->net.getLayer(finest)->name).clone();
    CV_Assert(out.dims == 4 && out.type() == CV_32F && out.size[0] == 1 && out.size[1] == 1 &&
              out.size[2] > 0 && out.size[3] > 0);
    return out;
  });
  if (found.size[2] != options_.side || found.size[3] != options_.side) {
    throw Error(ErrorKind::kFailedPrecondition,
                absl::StrCat("the segmentation network's output is ", found.size[3], " x ",
                             found.size[2], "; a map of ", options_.side, " x ", options_.side,
                             ", as the picture that it reads, is needed"));
  }
  return MaskOf(found.ptr<float>(), found.size[2], found.size[3], image);
}

}  // namespace likeness

#include "worker/models/lpips.h"

#include <algorithm>
#include <map>

#include "third_party/nlohmann/json.hpp"
#include "worker/base/error.h"
#include "worker/base/io/config_reader.h"

namespace likeness {
namespace {

// Where a convolution stands among torchvision's `features`, and what lies before and after it.
struct BackboneConv {
  int index;
  int slice;  // 1 to 5
  Conv2dOptions conv;
  int64_t pool = 0, pool_stride = 0;
};

// Krizhevsky 2014, 1404.5997, as torchvision.models.alexnet.
std::vector<BackboneConv> AlexNet() {
  return {{0, 1, {3, 64, 11, 4, 2}},
          {3, 2, {64, 192, 5, 1, 2}, 3, 2},
          {6, 3, {192, 384, 3, 1, 1}, 3, 2},
          {8, 4, {384, 256, 3, 1, 1}},
          {10, 5, {256, 256, 3, 1, 1}}};
}

// Simonyan and Zisserman 1409.1556, configuration D, as torchvision.models.vgg16.
std::vector<BackboneConv> Vgg16() {
  std::vector<BackboneConv> convs;
  int index = 0;
  int64_t channels = 3;
  const std::vector<std::pair<int, int64_t>> slices = {
      {2, 64}, {2, 128}, {3, 256}, {3, 512}, {3, 512}};
  for (size_t slice = 0; slice < slices.size(); ++slice) {
    const auto [count, width] = slices[slice];
    for (int i = 0; i < count; ++i) {
      const bool pooled = slice > 0 && i == 0;
      if (pooled) ++index;
      convs.push_back({index,
                       static_cast<int>(slice) + 1,
                       {channels, width, 3, 1, 1},
                       pooled ? 2 : 0,
                       pooled ? 2 : 0});
      channels = width;
      index += 2;  // and its ReLU
    }
  }
  return convs;
}

[[noreturn]] void RefuseSizes() {
  throw Error(ErrorKind::kInvalidArgument,
              "LPIPS compares pictures of one size, at least 64 pixels a side");
}

}  // namespace

LpipsOptions LpipsOptions::FromJson(const nlohmann::json& config) {
  LpipsOptions options;
  ConfigReader reader("lpips", config);
  reader.Require("model_type", "lpips");
  reader.Require("version", "0.1");
  reader.Read("net", options.net);
  if (options.net != "alex" && options.net != "vgg") {
    reader.Refuse("net", "is not supported; it may be alex or vgg");
  }
  reader.Finish();
  return options;
}

LpipsImpl::LpipsImpl(const LpipsOptions& options) {
  const auto folder = [](torch::nn::Module& parent, const std::string& name) {
    return parent.register_module(name, std::make_shared<torch::nn::Module>());
  };
  auto scaling = folder(*this, "scaling_layer");
  shift_1C11_ = scaling->register_buffer(
      "shift", torch::tensor({-0.030, -0.088, -0.188}, torch::kFloat32).view({1, 3, 1, 1}));
  scale_1C11_ = scaling->register_buffer(
      "scale", torch::tensor({0.458, 0.448, 0.450}, torch::kFloat32).view({1, 3, 1, 1}));
  auto net = folder(*this, "net");
  std::map<int, std::shared_ptr<torch::nn::Module>> slices;
  const auto convs = options.net == "vgg" ? Vgg16() : AlexNet();
  for (size_t i = 0; i < convs.size(); ++i) {
    const auto& conv = convs[i];
    auto& slice = slices[conv.slice];
    if (!slice) slice = folder(*net, "slice" + std::to_string(conv.slice));
    const bool last = i + 1 == convs.size() || convs[i + 1].slice != conv.slice;
    steps_.push_back({slice->register_module(std::to_string(conv.index), Conv2d(conv.conv)),
                      conv.pool, conv.pool_stride, last});
    if (!last) continue;
    auto lin = folder(*this, "lin" + std::to_string(conv.slice - 1));
    auto head = folder(*folder(*lin, "model"), "1");
    heads_1C11_[static_cast<size_t>(conv.slice - 1)] =
        head->register_parameter("weight", torch::rand({1, conv.conv.out_channels, 1, 1}));
  }
}

LpipsFeatures LpipsImpl::Features(const torch::Tensor& pixels_BCHW) {
  LpipsFeatures features{.height = pixels_BCHW.size(2), .width = pixels_BCHW.size(3)};
  if (std::min(features.height, features.width) < kLpipsSmallestSide) RefuseSizes();
  auto x = (pixels_BCHW - shift_1C11_) / scale_1C11_;
  for (auto& step : steps_) {
    if (step.pool > 0) x = torch::max_pool2d(x, step.pool, step.pool_stride);
    x = torch::relu(step.conv(x));
    if (!step.ends_slice) continue;
    features.slices_BCHW.push_back(x / (x.square().sum(1, /*keepdim=*/true).sqrt() + 1e-10));
  }
  return features;
}

torch::Tensor LpipsImpl::Distance(const LpipsFeatures& a, const LpipsFeatures& b) const {
  const auto& first_BCHW = a.slices_BCHW.front();
  const int64_t batch = first_BCHW.size(0);
  if (a.height != b.height || a.width != b.width || batch != b.slices_BCHW.front().size(0)) {
    RefuseSizes();
  }
  // d = sum over layers of the mean over places of w . (a - b)^2
  auto distance_B = torch::zeros({batch}, first_BCHW.options());
  for (size_t layer = 0; layer < heads_1C11_.size(); ++layer) {
    const auto difference_BCHW = a.slices_BCHW[layer] - b.slices_BCHW[layer];
    const auto weighted = difference_BCHW.square() * heads_1C11_[layer];
    distance_B = distance_B + weighted.sum(1).mean({1, 2});
  }
  return distance_B;
}

}  // namespace likeness

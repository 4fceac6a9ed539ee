#include "worker/models/lpips.h"

#include <algorithm>
#include <limits>
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
std::vector<BackboneConv> AlexNet(const std::vector<int64_t>& widths) {
  return {{0, 1, {3, widths[0], 11, 4, 2}},
          {3, 2, {widths[0], widths[1], 5, 1, 2}, 3, 2},
          {6, 3, {widths[1], widths[2], 3, 1, 1}, 3, 2},
          {8, 4, {widths[2], widths[3], 3, 1, 1}},
          {10, 5, {widths[3], widths[4], 3, 1, 1}}};
}

// Simonyan and Zisserman 1409.1556, configuration D, as torchvision.models.vgg16.
std::vector<BackboneConv> Vgg16(const std::vector<int64_t>& widths) {
  constexpr int kConvolutions[kLpipsSlices] = {2, 2, 3, 3, 3};
  std::vector<BackboneConv> convs;
  int index = 0;
  int64_t channels = 3;
  for (size_t slice = 0; slice < kLpipsSlices; ++slice) {
    for (int i = 0; i < kConvolutions[slice]; ++i) {
      const bool pooled = slice > 0 && i == 0;
      if (pooled) ++index;
      convs.push_back({index,
                       static_cast<int>(slice) + 1,
                       {channels, widths[slice], 3, 1, 1},
                       pooled ? 2 : 0,
                       pooled ? 2 : 0});
      channels = widths[slice];
      index += 2;  // and its ReLU
    }
  }
  return convs;
}

std::vector<BackboneConv> Backbone(const LpipsOptions& options) {
  const bool vgg = options.net == "vgg";
  const std::vector<int64_t> own = vgg ? std::vector<int64_t>{64, 128, 256, 512, 512}
                                       : std::vector<int64_t>{64, 192, 384, 256, 256};
  const auto& widths = options.channels.empty() ? own : options.channels;
  return vgg ? Vgg16(widths) : AlexNet(widths);
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
  if (reader.Has("channels")) {
    reader.ReadSizes("channels", options.channels);
    if (options.channels.size() != kLpipsSlices) {
      reader.Refuse("channels", "must be five sizes, one a slice");
    }
  }
  reader.Finish();
  return options;
}

nlohmann::json LpipsOptions::ToJson() const {
  nlohmann::json config = {{"model_type", "lpips"}, {"net", net}, {"version", "0.1"}};
  if (!channels.empty()) config["channels"] = channels;
  return config;
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
  const auto convs = Backbone(options);
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
  ForEachSlice(pixels_BCHW, [&](const torch::Tensor& x) {
    const auto length_B1HW = x.square().sum(1, /*keepdim=*/true).sqrt() + 1e-10;
    // Divided by a length that is not finite, all would be 0.
    features.slices_BCHW.push_back(
        x /
        length_B1HW.masked_fill(~length_B1HW.isfinite(), std::numeric_limits<float>::quiet_NaN()));
  });
  return features;
}

void LpipsImpl::ForEachSlice(const torch::Tensor& pixels_BCHW,
                             const std::function<void(const torch::Tensor& x_BCHW)>& use) {
  if (std::min(pixels_BCHW.size(2), pixels_BCHW.size(3)) < kLpipsSmallestSide) RefuseSizes();
  auto x = (pixels_BCHW - shift_1C11_) / scale_1C11_;
  for (auto& step : steps_) {
    if (step.pool > 0) x = torch::max_pool2d(x, step.pool, step.pool_stride);
    x = torch::relu(step.conv(x));
    if (step.ends_slice) use(x);
  }
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

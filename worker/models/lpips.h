// LPIPS, a learned distance between two pictures (Zhang et al. 1801.03924, eq. 1; version 0.1).
// Keys as the state dict of lpips.LPIPS, package lpips 0.1.4, without its doubled "lins".
// Shapes: B batch, C channels, H W pixels.
#pragma once

#include <torch/torch.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "third_party/nlohmann/json_fwd.hpp"
#include "worker/nn/layers.h"

namespace likeness {

inline constexpr int kLpipsSmallestSide = 64;  // pixels
inline constexpr size_t kLpipsSlices = 5;

struct LpipsOptions {
  std::string net = "alex";  // or "vgg"
  // Of each slice; none: the net's own, of alex {64, 192, 384, 256, 256}.
  std::vector<int64_t> channels = {};

  // {"model_type": "lpips", "net": "alex", "version": "0.1"}, and "channels" of a net that is wider
  // or narrower than the published one. Errors as VitOptions::FromJson.
  static LpipsOptions FromJson(const nlohmann::json& config);
  nlohmann::json ToJson() const;
};

// What LPIPS compares of pictures.
struct LpipsFeatures {
  int64_t height = 0, width = 0;                // of the pictures
  std::vector<torch::Tensor> slices_BCHW = {};  // five, of unit length at each place
};

class LpipsImpl : public torch::nn::Module {
 public:
  explicit LpipsImpl(const LpipsOptions& options);

  // Of pictures in [-1,1], at least kLpipsSmallestSide pixels a side.
  LpipsFeatures Features(const torch::Tensor& pixels_BCHW);
  // Calls `use` with what each of the slices gives, before it is brought to unit length.
  void ForEachSlice(const torch::Tensor& pixels_BCHW,
                    const std::function<void(const torch::Tensor& x_BCHW)>& use);
  // [B]. The pictures are of one size.
  torch::Tensor Distance(const LpipsFeatures& a, const LpipsFeatures& b) const;
  torch::Tensor forward(const torch::Tensor& a_BCHW, const torch::Tensor& b_BCHW) {
    return Distance(Features(a_BCHW), Features(b_BCHW));
  }

 private:
  // A convolution and its ReLU, behind a pooling of size and stride where it has them.
  struct Step {
    Conv2d conv = nullptr;
    int64_t pool = 0, pool_stride = 0;
    bool ends_slice = false;
  };

  torch::Tensor shift_1C11_, scale_1C11_;
  std::vector<Step> steps_;
  std::array<torch::Tensor, kLpipsSlices> heads_1C11_;
};
TORCH_MODULE(Lpips);

}  // namespace likeness

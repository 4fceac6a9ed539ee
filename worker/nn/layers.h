// Linear and convolution as PyTorch computes and initialises them, but able to be built without
// filling their parameters: a checkpoint that is loaded right after overwrites them anyway, and
// drawing 860 million numbers takes seconds.
#pragma once

#include <torch/torch.h>

#include <cstdint>
#include <optional>

#include "worker/nn/layer_hook.h"
#include "worker/nn/one_dnn.h"
#include "worker/nn/project.h"

namespace likeness {

// While one lives, layers built on this thread leave their parameters unwritten memory.
class SkipInitialization {
 public:
  SkipInitialization();
  ~SkipInitialization();
  SkipInitialization(const SkipInitialization&) = delete;
  SkipInitialization& operator=(const SkipInitialization&) = delete;

  static bool Active();

 private:
  bool outer_;
};

// y = x W^T + b. weight [out, in], bias [out].
class LinearImpl : public torch::nn::Module {
 public:
  LinearImpl(int64_t in_features, int64_t out_features, bool with_bias = true);
  torch::Tensor forward(const torch::Tensor& x) {
    if (hooks.empty()) {
      return packed.defined() ? one_dnn::Linear(x, packed, bias) : Project(x, weight, bias);
    }
    const auto seen = hooks.Before(x);
    return hooks.After(seen, Project(seen, weight, bias));
  }

  torch::Tensor weight, bias;
  LayerHooks hooks;
  torch::Tensor packed;  // the weight, while there are PackedWeights
};
TORCH_MODULE(Linear);

struct Conv2dOptions {
  int64_t in_channels;
  int64_t out_channels;
  int64_t kernel_size = 3;
  int64_t stride = 1;
  int64_t padding = 1;
};

// weight [out, in, k, k], bias [out].
class Conv2dImpl : public torch::nn::Module {
 public:
  explicit Conv2dImpl(Conv2dOptions options);
  torch::Tensor forward(const torch::Tensor& x_BCHW) {
    if (hooks.empty()) {
      return packed ? packed->Convolve(x_BCHW, bias) : Convolve(x_BCHW);
    }
    const auto seen_BCHW = hooks.Before(x_BCHW);
    return hooks.After(seen_BCHW, Convolve(seen_BCHW));
  }
  const Conv2dOptions& options() const { return options_; }

  torch::Tensor weight, bias;
  LayerHooks hooks;
  std::optional<one_dnn::PackedConvolution> packed;  // while there are PackedWeights

 private:
  torch::Tensor Convolve(const torch::Tensor& x_BCHW);

  Conv2dOptions options_;
};
TORCH_MODULE(Conv2d);

// A 1x1 convolution.
inline Conv2d PointwiseConv(int64_t in_channels, int64_t out_channels) {
  return Conv2d(Conv2dOptions{
      .in_channels = in_channels, .out_channels = out_channels, .kernel_size = 1, .padding = 0});
}

torch::nn::GroupNorm MakeGroupNorm(int64_t groups, int64_t channels, double eps);
torch::nn::LayerNorm MakeLayerNorm(int64_t width, double eps = 1e-5);

}  // namespace likeness

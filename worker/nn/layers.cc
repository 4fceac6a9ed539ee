#include "worker/nn/layers.h"

#include <cmath>

#include "worker/nn/pointwise_convolution.h"
#include "worker/nn/unfolded_convolution.h"
#include "worker/nn/winograd.h"

namespace likeness {
namespace {

thread_local bool skip_initialization = false;

// PyTorch's default: uniform within 1 / sqrt(fan in), for weights and biases alike.
torch::Tensor NewParameter(torch::IntArrayRef shape, int64_t fan_in) {
  auto parameter = torch::empty(shape, torch::kFloat32);
  if (SkipInitialization::Active()) return parameter;
  const double bound = 1 / std::sqrt(static_cast<double>(fan_in));
  return parameter.uniform_(-bound, bound);
}

}  // namespace

SkipInitialization::SkipInitialization() : outer_(skip_initialization) {
  skip_initialization = true;
}
SkipInitialization::~SkipInitialization() { skip_initialization = outer_; }
bool SkipInitialization::Active() { return skip_initialization; }

LinearImpl::LinearImpl(int64_t in_features, int64_t out_features, bool with_bias) {
  weight = register_parameter("weight", NewParameter({out_features, in_features}, in_features));
  if (with_bias) bias = register_parameter("bias", NewParameter({out_features}, in_features));
}

Conv2dImpl::Conv2dImpl(Conv2dOptions options) : options_(options) {
  const int64_t k = options.kernel_size;
  const int64_t fan_in = options.in_channels * k * k;
  weight = register_parameter(
      "weight", NewParameter({options.out_channels, options.in_channels, k, k}, fan_in));
  bias = register_parameter("bias", NewParameter({options.out_channels}, fan_in));
}

torch::Tensor Conv2dImpl::Convolve(const torch::Tensor& x_BCHW) {
  if (options_.stride == 1 && options_.padding == 1) {
    if (WinogradPays(x_BCHW, weight)) return WinogradConvolve(x_BCHW, weight, bias);
    if (UnfoldingPays(x_BCHW, weight)) return UnfoldedConvolve(x_BCHW, weight, bias);
  }
  if (options_.stride == 1 && options_.padding == 0 && PointwiseProductPays(x_BCHW, weight)) {
    return PointwiseConvolve(x_BCHW, weight, bias);
  }
  return torch::conv2d(x_BCHW, weight, bias, options_.stride, options_.padding);
}

torch::nn::GroupNorm MakeGroupNorm(int64_t groups, int64_t channels, double eps) {
  return torch::nn::GroupNorm(torch::nn::GroupNormOptions(groups, channels).eps(eps));
}

torch::nn::LayerNorm MakeLayerNorm(int64_t width, double eps) {
  return torch::nn::LayerNorm(torch::nn::LayerNormOptions({width}).eps(eps));
}

}  // namespace likeness

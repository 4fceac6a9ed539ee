#include "worker/nn/resample.h"

namespace likeness {

DownsampleImpl::DownsampleImpl(int64_t channels, Padding padding)
    : padding_(padding),
      conv_(Conv2dOptions{.in_channels = channels,
                          .out_channels = channels,
                          .stride = 2,
                          .padding = padding == Padding::kAround ? 1 : 0}) {
  register_module("conv", conv_);
}

torch::Tensor DownsampleImpl::forward(const torch::Tensor& x_BCHW) {
  if (padding_ == Padding::kAround) return conv_(x_BCHW);
  return conv_(torch::constant_pad_nd(x_BCHW, {0, 1, 0, 1}));
}

UpsampleImpl::UpsampleImpl(int64_t channels)
    : conv_(Conv2dOptions{.in_channels = channels, .out_channels = channels}) {
  register_module("conv", conv_);
}

torch::Tensor UpsampleImpl::forward(const torch::Tensor& x_BCHW, torch::IntArrayRef size_HW) {
  return conv_(torch::upsample_nearest2d(x_BCHW, size_HW));
}

}  // namespace likeness

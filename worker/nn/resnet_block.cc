#include "worker/nn/resnet_block.h"

#include "worker/nn/activation.h"

namespace likeness {

ResnetBlockImpl::ResnetBlockImpl(ResnetBlockOptions options)
    : norm1_(MakeGroupNorm(options.groups, options.in_channels, options.eps)),
      conv1_(
          Conv2dOptions{.in_channels = options.in_channels, .out_channels = options.out_channels}),
      norm2_(MakeGroupNorm(options.groups, options.out_channels, options.eps)),
      conv2_(Conv2dOptions{.in_channels = options.out_channels,
                           .out_channels = options.out_channels}) {
  register_module("norm1", norm1_);
  register_module("conv1", conv1_);
  if (options.time_channels != 0) {
    time_emb_proj_ =
        register_module("time_emb_proj", Linear(options.time_channels, options.out_channels));
  }
  register_module("norm2", norm2_);
  register_module("conv2", conv2_);
  if (options.in_channels != options.out_channels) {
    conv_shortcut_ =
        register_module("conv_shortcut", PointwiseConv(options.in_channels, options.out_channels));
  }
}

torch::Tensor ResnetBlockImpl::forward(const torch::Tensor& x_BCHW, const torch::Tensor& time_BE) {
  auto h = conv1_(Silu(norm1_(x_BCHW)));
  // In place: no gradient needs what a convolution gave.
  if (time_emb_proj_) h.add_(time_emb_proj_(time_BE).unsqueeze(-1).unsqueeze(-1));
  h = conv2_(Silu(norm2_(h)));
  return h.add_(conv_shortcut_ ? conv_shortcut_(x_BCHW) : x_BCHW);
}

}  // namespace likeness

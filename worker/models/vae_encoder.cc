#include "worker/models/vae_encoder.h"

#include "worker/models/vae.h"
#include "worker/nn/activation.h"
#include "worker/nn/block_list.h"

namespace likeness {

VaeMidBlockImpl::VaeMidBlockImpl(int64_t channels, int64_t groups)
    : attention_(channels, groups, kVaeNormEps),
      before_(ResnetBlockOptions{
          .in_channels = channels, .out_channels = channels, .groups = groups, .eps = kVaeNormEps}),
      after_(ResnetBlockOptions{.in_channels = channels,
                                .out_channels = channels,
                                .groups = groups,
                                .eps = kVaeNormEps}) {
  RegisterBlocks(*this, "attentions", std::vector{attention_});
  RegisterBlocks(*this, "resnets", std::vector{before_, after_});
}

torch::Tensor VaeMidBlockImpl::forward(const torch::Tensor& x_BCHW) {
  return after_(attention_(before_(x_BCHW)));
}

VaeDownBlockImpl::VaeDownBlockImpl(Options options) {
  for (int64_t i = 0; i < options.layers; ++i) {
    resnets_.emplace_back(
        ResnetBlockOptions{.in_channels = i == 0 ? options.in_channels : options.out_channels,
                           .out_channels = options.out_channels,
                           .groups = options.groups,
                           .eps = kVaeNormEps});
  }
  RegisterBlocks(*this, "resnets", resnets_);
  if (options.downsample) {
    downsample_ = Downsample(options.out_channels, DownsampleImpl::Padding::kRightBottom);
    RegisterBlocks(*this, "downsamplers", std::vector{downsample_});
  }
}

torch::Tensor VaeDownBlockImpl::forward(torch::Tensor x_BCHW) {
  for (auto& resnet : resnets_) x_BCHW = resnet(x_BCHW);
  return downsample_ ? downsample_(x_BCHW) : x_BCHW;
}

VaeEncoderImpl::VaeEncoderImpl(const AutoencoderKlOptions& options) {
  const auto& channels = options.block_out_channels;
  conv_in_ = register_module("conv_in", Conv2d(Conv2dOptions{.in_channels = options.in_channels,
                                                             .out_channels = channels.front()}));
  for (size_t level = 0; level < channels.size(); ++level) {
    down_blocks_.emplace_back(VaeDownBlockImpl::Options{
        .in_channels = channels[level == 0 ? 0 : level - 1],
        .out_channels = channels[level],
        .layers = options.layers_per_block,
        .groups = options.norm_num_groups,
        .downsample = level + 1 < channels.size(),
    });
  }
  RegisterBlocks(*this, "down_blocks", down_blocks_);
  mid_block_ = register_module("mid_block", VaeMidBlock(channels.back(), options.norm_num_groups));
  conv_norm_out_ = register_module(
      "conv_norm_out", MakeGroupNorm(options.norm_num_groups, channels.back(), kVaeNormEps));
  conv_out_ = register_module("conv_out",
                              Conv2d(Conv2dOptions{.in_channels = channels.back(),
                                                   .out_channels = 2 * options.latent_channels}));
}

torch::Tensor VaeEncoderImpl::forward(const torch::Tensor& images_BCHW) {
  auto x = conv_in_(images_BCHW);
  for (auto& block : down_blocks_) x = block(x);
  x = mid_block_(x);
  return conv_out_(Silu(conv_norm_out_(x)));
}

}  // namespace likeness

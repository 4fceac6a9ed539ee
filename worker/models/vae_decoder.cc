#include "worker/models/vae_decoder.h"

#include "worker/models/vae.h"
#include "worker/nn/activation.h"
#include "worker/nn/block_list.h"

namespace likeness {

VaeUpBlockImpl::VaeUpBlockImpl(Options options) {
  for (int64_t i = 0; i < options.layers; ++i) {
    resnets_.emplace_back(
        ResnetBlockOptions{.in_channels = i == 0 ? options.in_channels : options.out_channels,
                           .out_channels = options.out_channels,
                           .groups = options.groups,
                           .eps = kVaeNormEps});
  }
  RegisterBlocks(*this, "resnets", resnets_);
  if (options.upsample) {
    upsample_ = Upsample(options.out_channels);
    RegisterBlocks(*this, "upsamplers", std::vector{upsample_});
  }
}

torch::Tensor VaeUpBlockImpl::forward(torch::Tensor x_BCHW) {
  for (auto& resnet : resnets_) x_BCHW = resnet(x_BCHW);
  if (!upsample_) return x_BCHW;
  return upsample_->forward(x_BCHW, {2 * x_BCHW.size(2), 2 * x_BCHW.size(3)});
}

VaeDecoderImpl::VaeDecoderImpl(const AutoencoderKlOptions& options) {
  const std::vector<int64_t> channels(options.block_out_channels.rbegin(),
                                      options.block_out_channels.rend());  // coarsest first
  conv_in_ = register_module("conv_in", Conv2d(Conv2dOptions{.in_channels = options.latent_channels,
                                                             .out_channels = channels.front()}));
  for (size_t level = 0; level < channels.size(); ++level) {
    up_blocks_.emplace_back(VaeUpBlockImpl::Options{
        .in_channels = channels[level == 0 ? 0 : level - 1],
        .out_channels = channels[level],
        .layers = options.layers_per_block + 1,
        .groups = options.norm_num_groups,
        .upsample = level + 1 < channels.size(),
    });
  }
  RegisterBlocks(*this, "up_blocks", up_blocks_);
  mid_block_ = register_module("mid_block", VaeMidBlock(channels.front(), options.norm_num_groups));
  conv_norm_out_ = register_module(
      "conv_norm_out", MakeGroupNorm(options.norm_num_groups, channels.back(), kVaeNormEps));
  conv_out_ = register_module(
      "conv_out",
      Conv2d(Conv2dOptions{.in_channels = channels.back(), .out_channels = options.out_channels}));
}

torch::Tensor VaeDecoderImpl::forward(const torch::Tensor& latents_BChw) {
  auto x = mid_block_(conv_in_(latents_BChw));
  for (auto& block : up_blocks_) x = block(x);
  return conv_out_(Silu(conv_norm_out_(x)));
}

}  // namespace likeness

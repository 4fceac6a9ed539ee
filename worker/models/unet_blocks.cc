#include "worker/models/unet_blocks.h"

#include <utility>

#include "worker/nn/block_list.h"

namespace likeness {
namespace {

ResnetBlock MakeResnet(const UNetLevelOptions& options, int64_t in_channels) {
  return ResnetBlock(ResnetBlockOptions{.in_channels = in_channels,
                                        .out_channels = options.out_channels,
                                        .time_channels = options.time_channels,
                                        .groups = options.groups,
                                        .eps = options.eps});
}

}  // namespace

UNetDownBlockImpl::UNetDownBlockImpl(const UNetLevelOptions& options) {
  for (int64_t i = 0; i < options.layers; ++i) {
    resnets_.push_back(MakeResnet(options, i == 0 ? options.in_channels : options.out_channels));
    if (options.cross_attention) attentions_.emplace_back(options.attention);
  }
  RegisterBlocks(*this, "attentions", attentions_);
  RegisterBlocks(*this, "resnets", resnets_);
  if (options.resample) {
    downsample_ = Downsample(options.out_channels, DownsampleImpl::Padding::kAround);
    RegisterBlocks(*this, "downsamplers", std::vector{downsample_});
  }
}

torch::Tensor UNetDownBlockImpl::forward(torch::Tensor x_BCHW, const UNetConditioning& conditioning,
                                         std::vector<torch::Tensor>& skips) {
  for (size_t i = 0; i < resnets_.size(); ++i) {
    x_BCHW = resnets_[i](x_BCHW, conditioning.time_BE);
    if (!attentions_.empty()) x_BCHW = attentions_[i](x_BCHW, conditioning.context_BTD);
    skips.push_back(x_BCHW);
  }
  if (downsample_) {
    x_BCHW = downsample_(x_BCHW);
    skips.push_back(x_BCHW);
  }
  return x_BCHW;
}

UNetMidBlockImpl::UNetMidBlockImpl(const UNetLevelOptions& options)
    : attention_(options.attention),
      before_(MakeResnet(options, options.in_channels)),
      after_(MakeResnet(options, options.out_channels)) {
  RegisterBlocks(*this, "attentions", std::vector{attention_});
  RegisterBlocks(*this, "resnets", std::vector{before_, after_});
}

torch::Tensor UNetMidBlockImpl::forward(const torch::Tensor& x_BCHW,
                                        const UNetConditioning& conditioning) {
  auto h = before_(x_BCHW, conditioning.time_BE);
  h = attention_(h, conditioning.context_BTD);
  return after_(h, conditioning.time_BE);
}

UNetUpBlockImpl::UNetUpBlockImpl(const UNetLevelOptions& options,
                                 const std::vector<int64_t>& skip_channels) {
  for (size_t i = 0; i < skip_channels.size(); ++i) {
    const int64_t from_below = i == 0 ? options.in_channels : options.out_channels;
    resnets_.push_back(MakeResnet(options, from_below + skip_channels[i]));
    if (options.cross_attention) attentions_.emplace_back(options.attention);
  }
  RegisterBlocks(*this, "attentions", attentions_);
  RegisterBlocks(*this, "resnets", resnets_);
  if (options.resample) {
    upsample_ = Upsample(options.out_channels);
    RegisterBlocks(*this, "upsamplers", std::vector{upsample_});
  }
}

torch::Tensor UNetUpBlockImpl::forward(torch::Tensor x_BCHW, const UNetConditioning& conditioning,
                                       std::vector<torch::Tensor>& skips) {
  for (size_t i = 0; i < resnets_.size(); ++i) {
    x_BCHW = resnets_[i](torch::cat({x_BCHW, skips.back()}, /*dim=*/1), conditioning.time_BE);
    skips.pop_back();
    if (!attentions_.empty()) x_BCHW = attentions_[i](x_BCHW, conditioning.context_BTD);
  }
  return upsample_ ? upsample_->forward(x_BCHW, skips.back().sizes().slice(2)) : x_BCHW;
}

}  // namespace likeness

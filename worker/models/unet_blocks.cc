#include "worker/models/unet_blocks.h"

#include <utility>

#include "worker/nn/block_list.h"
#include "worker/nn/denoising_timesteps.h"
#include "worker/nn/gradient_checkpointing.h"

namespace likeness {
namespace {

ResnetBlock MakeResnet(const UNetLevelOptions& options, int64_t in_channels) {
  return ResnetBlock(ResnetBlockOptions{.in_channels = in_channels,
                                        .out_channels = options.out_channels,
                                        .time_channels = options.time_channels,
                                        .groups = options.groups,
                                        .eps = options.eps});
}

// One layer: a residual block of x, with its skip where it has one, and attention where it has it.
torch::Tensor RunLayer(ResnetBlock resnet, Transformer2D attention,
                       const UNetConditioning& conditioning, std::vector<torch::Tensor> x_BCHW) {
  const size_t count = x_BCHW.size();
  x_BCHW.push_back(conditioning.time_BE);
  x_BCHW.push_back(conditioning.context_BTD);
  return Checkpointed(
      [resnet, attention, count, timesteps_B = DenoisingTimesteps::Current()](
          const std::vector<torch::Tensor>& inputs) mutable {
        const DenoisingTimesteps at(timesteps_B);  // when it is computed again, too
        const auto h = resnet(
            count == 1 ? inputs[0] : torch::cat({inputs[0], inputs[1]}, /*dim=*/1), inputs[count]);
        return attention ? attention(h, inputs[count + 1]) : h;
      },
      x_BCHW);
}

Transformer2D AttentionOf(const std::vector<Transformer2D>& attentions, size_t layer) {
  return attentions.empty() ? Transformer2D(nullptr) : attentions[layer];
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
    x_BCHW = RunLayer(resnets_[i], AttentionOf(attentions_, i), conditioning, {x_BCHW});
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
  const auto h = RunLayer(before_, attention_, conditioning, {x_BCHW});
  return RunLayer(after_, nullptr, conditioning, {h});
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
    x_BCHW =
        RunLayer(resnets_[i], AttentionOf(attentions_, i), conditioning, {x_BCHW, skips.back()});
    skips.pop_back();
  }
  return upsample_ ? upsample_->forward(x_BCHW, skips.back().sizes().slice(2)) : x_BCHW;
}

}  // namespace likeness

#include "worker/models/unet.h"

#include <utility>

#include "worker/nn/activation.h"
#include "worker/nn/block_list.h"
#include "worker/nn/denoising_timesteps.h"

namespace likeness {
namespace {

UNetLevelOptions LevelOptions(const UNet2DConditionOptions& unet, size_t level) {
  const int64_t channels = unet.block_out_channels[level];
  return {.in_channels = channels,
          .out_channels = channels,
          .time_channels = 4 * unet.block_out_channels.front(),
          .layers = unet.layers_per_block,
          .groups = unet.norm_num_groups,
          .eps = unet.norm_eps,
          .cross_attention = true,
          .attention = {.channels = channels,
                        .context_width = unet.cross_attention_dim,
                        .heads = unet.HeadsAt(level),
                        .groups = unet.norm_num_groups,
                        .layers = unet.LayersAt(level),
                        .linear_projection = unet.use_linear_projection},
          .resample = false};
}

std::vector<UNetDownBlock> MakeDownBlocks(const UNet2DConditionOptions& unet) {
  const size_t levels = unet.block_out_channels.size();
  std::vector<UNetDownBlock> blocks;
  for (size_t level = 0; level < levels; ++level) {
    auto options = LevelOptions(unet, level);
    options.in_channels = unet.block_out_channels[level == 0 ? 0 : level - 1];
    options.cross_attention = unet.down_block_types[level] == "CrossAttnDownBlock2D";
    options.resample = level + 1 < levels;
    blocks.emplace_back(options);
  }
  return blocks;
}

// Coarsest first, as they run.
std::vector<UNetUpBlock> MakeUpBlocks(const UNet2DConditionOptions& unet) {
  const auto& channels = unet.block_out_channels;
  const size_t levels = channels.size();
  std::vector<UNetUpBlock> blocks;
  for (size_t i = 0; i < levels; ++i) {
    const size_t level = levels - 1 - i;
    auto options = LevelOptions(unet, level);
    options.in_channels = channels[i == 0 ? level : level + 1];
    options.cross_attention = unet.up_block_types[i] == "CrossAttnUpBlock2D";
    options.resample = level > 0;
    // One skip a layer of the way down, and one from before it: the level above, or conv_in.
    std::vector<int64_t> skip_channels(unet.layers_per_block, channels[level]);
    skip_channels.push_back(channels[level == 0 ? 0 : level - 1]);
    blocks.emplace_back(options, skip_channels);
  }
  return blocks;
}

}  // namespace

UNet2DConditionImpl::UNet2DConditionImpl(UNet2DConditionOptions options)
    : options_(std::move(options)),
      conv_in_(Conv2dOptions{.in_channels = options_.in_channels,
                             .out_channels = options_.block_out_channels.front()}),
      time_embedding_(options_.block_out_channels.front(), 4 * options_.block_out_channels.front()),
      down_blocks_(MakeDownBlocks(options_)),
      mid_block_(LevelOptions(options_, options_.block_out_channels.size() - 1)),
      up_blocks_(MakeUpBlocks(options_)),
      conv_norm_out_(MakeGroupNorm(options_.norm_num_groups, options_.block_out_channels.front(),
                                   options_.norm_eps)),
      conv_out_(Conv2dOptions{.in_channels = options_.block_out_channels.front(),
                              .out_channels = options_.out_channels}) {
  register_module("conv_in", conv_in_);
  register_module("time_embedding", time_embedding_);
  if (options_.has_text_time()) {
    add_embedding_ = register_module(
        "add_embedding", TimestepEmbedding(options_.projection_class_embeddings_input_dim,
                                           4 * options_.block_out_channels.front()));
  }
  RegisterBlocks(*this, "down_blocks", down_blocks_);
  RegisterBlocks(*this, "up_blocks", up_blocks_);
  register_module("mid_block", mid_block_);
  register_module("conv_norm_out", conv_norm_out_);
  register_module("conv_out", conv_out_);
}

torch::Tensor UNet2DConditionImpl::Embed(const torch::Tensor& timesteps_B,
                                         const TextTime& text_time) {
  auto time_BE = time_embedding_(timesteps_B);
  if (!add_embedding_) return time_BE;
  const auto& ids_BK = text_time.ids_BK;
  const auto numbers_BF =
      SinusoidalEmbedding(ids_BK.flatten(), options_.addition_time_embed_dim)
          .view({ids_BK.size(0), ids_BK.size(1) * options_.addition_time_embed_dim});
  const auto& pooled_BP = text_time.pooled_BP;
  return time_BE +
         add_embedding_->Embed(torch::cat({pooled_BP, numbers_BF.to(pooled_BP.dtype())}, 1));
}

torch::Tensor UNet2DConditionImpl::Forward(const torch::Tensor& latents_BCHW,
                                           const torch::Tensor& timesteps_B,
                                           const torch::Tensor& context_BTD,
                                           const TextTime& text_time) {
  const DenoisingTimesteps at(timesteps_B);
  // time embedding
  const UNetConditioning conditioning{.time_BE = Silu(Embed(timesteps_B, text_time)),
                                      .context_BTD = context_BTD};
  // down
  auto x = conv_in_(latents_BCHW);
  std::vector<torch::Tensor> skips = {x};
  for (auto& block : down_blocks_) x = block(x, conditioning, skips);
  // mid
  x = mid_block_(x, conditioning);
  // up
  for (auto& block : up_blocks_) x = block(x, conditioning, skips);
  // out
  return conv_out_(Silu(conv_norm_out_(x)));
}

}  // namespace likeness

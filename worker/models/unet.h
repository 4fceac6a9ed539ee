// The conditional denoiser of Stable Diffusion 1.x, 2.x and XL.
// Source: Rombach et al. 2112.10752; keys and config.json as diffusers' UNet2DConditionModel.
// Shapes: B batch, C channels, H W of the latents, T tokens, D width.
#pragma once

#include <torch/torch.h>

#include <cstdint>
#include <string>
#include <vector>

#include "third_party/nlohmann/json_fwd.hpp"
#include "worker/models/unet_blocks.h"
#include "worker/nn/layers.h"
#include "worker/nn/timestep_embedding.h"

namespace likeness {

struct UNet2DConditionOptions {
  int64_t sample_size = 64;  // side of the latents it was trained on
  int64_t in_channels = 4;
  int64_t out_channels = 4;
  std::vector<int64_t> block_out_channels = {320, 640, 1280, 1280};  // one level each, finest first
  // Either plain or with cross-attention: {Cross,}AttnDownBlock2D as diffusers names them.
  std::vector<std::string> down_block_types = {"CrossAttnDownBlock2D", "CrossAttnDownBlock2D",
                                               "CrossAttnDownBlock2D", "DownBlock2D"};
  std::vector<std::string> up_block_types = {"UpBlock2D", "CrossAttnUpBlock2D",
                                             "CrossAttnUpBlock2D", "CrossAttnUpBlock2D"};
  int64_t layers_per_block = 2;
  int64_t cross_attention_dim = 768;
  // Number of heads at each level, or one for all (the name is diffusers' own mistake).
  std::vector<int64_t> attention_head_dim = {8};
  // Transformer blocks at each level, or one number for all.
  std::vector<int64_t> transformer_layers_per_block = {1};
  // Widths of SD XL's second condition (addition_embed_type "text_time"): of the embedding of each
  // number, and of all of it with the pooled text. 0: none.
  int64_t addition_time_embed_dim = 0;
  int64_t projection_class_embeddings_input_dim = 0;
  int64_t norm_num_groups = 32;
  double norm_eps = 1e-5;
  bool use_linear_projection = false;  // true in SD 2.x
  bool upcast_attention = false;       // kept for config.json: says where float16 overflows

  // From and to a diffusers config.json. A setting that this code does not support is an Error
  // (kFailedPrecondition) that names it.
  static UNet2DConditionOptions FromJson(const nlohmann::json& config);
  nlohmann::json ToJson() const;

  int64_t HeadsAt(size_t level) const;
  int64_t LayersAt(size_t level) const;
  bool has_text_time() const { return addition_time_embed_dim > 0; }
};

// SD XL's second condition, Podell et al. 2307.01952, section 2.2: P width of the pooled text, K
// numbers (sizes and crops).
struct TextTime {
  torch::Tensor pooled_BP;
  torch::Tensor ids_BK;  // int64 or float
};

class UNet2DConditionImpl : public torch::nn::Module {
 public:
  explicit UNet2DConditionImpl(UNet2DConditionOptions options);

  // latents_BCHW: any H, W. timesteps_B: integer or float, of the training schedule.
  // context_BTD: the text tower's output. text_time: where has_text_time(). Gives the prediction,
  // BCHW in the parameters' dtype.
  torch::Tensor Forward(const torch::Tensor& latents_BCHW, const torch::Tensor& timesteps_B,
                        const torch::Tensor& context_BTD, const TextTime& text_time = {});

  const UNet2DConditionOptions& options() const { return options_; }
  torch::ScalarType dtype() const { return conv_in_->bias.scalar_type(); }  // what it computes in

 private:
  // The condition beside the context, BE.
  torch::Tensor Embed(const torch::Tensor& timesteps_B, const TextTime& text_time);

  UNet2DConditionOptions options_;
  Conv2d conv_in_;
  TimestepEmbedding time_embedding_;
  TimestepEmbedding add_embedding_ = nullptr;  // where has_text_time()
  std::vector<UNetDownBlock> down_blocks_;
  UNetMidBlock mid_block_ = nullptr;
  std::vector<UNetUpBlock> up_blocks_;
  torch::nn::GroupNorm conv_norm_out_ = nullptr;
  Conv2d conv_out_;
};
TORCH_MODULE(UNet2DCondition);

}  // namespace likeness

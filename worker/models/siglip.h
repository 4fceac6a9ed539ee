// SigLIP's towers: pictures and prompts to vectors of one space (Zhai et al. 2303.15343; SigLIP 2,
// Tschannen et al. 2502.14786, has the same of pictures of one size). Keys and config.json as
// transformers' SiglipModel. Shapes: B batch, C channels, H W pixels, P patches, T tokens, D width.
#pragma once

#include <torch/torch.h>

#include <cstdint>
#include <string>
#include <vector>

#include "third_party/nlohmann/json_fwd.hpp"
#include "worker/models/clip_text.h"

namespace likeness {

struct SiglipTowerOptions {
  int64_t hidden_size = 768;
  int64_t intermediate_size = 3072;
  int64_t num_hidden_layers = 12;
  int64_t num_attention_heads = 12;
  std::string hidden_act = "gelu_pytorch_tanh";
  double layer_norm_eps = 1e-6;
};

struct SiglipTextOptions : SiglipTowerOptions {
  int64_t vocab_size = 32000;
  int64_t max_position_embeddings = 64;
  int64_t projection_size = 768;
};

struct SiglipVisionOptions : SiglipTowerOptions {
  int64_t image_size = 224;
  int64_t patch_size = 16;
};

struct SiglipOptions {
  SiglipTextOptions text;
  SiglipVisionOptions vision;

  // From and to the config.json of a SiglipModel. A setting that this code does not support is an
  // Error (kFailedPrecondition) that names it.
  static SiglipOptions FromJson(const nlohmann::json& config);
  nlohmann::json ToJson() const;
};

// vision_model.head: one learned query attends to the patches.
class SiglipPoolingHeadImpl : public torch::nn::Module {
 public:
  explicit SiglipPoolingHeadImpl(const SiglipVisionOptions& options);
  torch::Tensor forward(const torch::Tensor& patches_BPD);  // BD

 private:
  int64_t heads_;
  Activation activation_;
  torch::Tensor probe_11D_, in_proj_weight_, in_proj_bias_;
  Linear out_proj_ = nullptr, fc1_ = nullptr, fc2_ = nullptr;
  torch::nn::LayerNorm layernorm_ = nullptr;
};
TORCH_MODULE(SiglipPoolingHead);

class SiglipModelImpl : public torch::nn::Module {
 public:
  explicit SiglipModelImpl(SiglipOptions options);

  // pixels_BCHW: image_size x image_size, normalized as preprocessor_config.json says. Gives the
  // patches after the last layer norm, row by row, BPD.
  torch::Tensor ReadPicture(const torch::Tensor& pixels_BCHW);
  // One vector of the patches, BD. Patches that are to be left out are not passed: a key that is
  // masked has no part in attention.
  torch::Tensor Pool(const torch::Tensor& patches_BPD) { return head_(patches_BPD); }
  // input_ids_BT: int64, padded to max_position_embeddings as in training. BD.
  torch::Tensor ReadPrompt(const torch::Tensor& input_ids_BT);

  const SiglipOptions& options() const { return options_; }

 private:
  void RegisterVision();
  void RegisterText();

  SiglipOptions options_;
  torch::Tensor patch_weight_DCpp_, patch_bias_D_, patch_positions_PD_;
  torch::Tensor tokens_VD_, token_positions_TD_;
  std::vector<ClipEncoderLayer> vision_layers_, text_layers_;  // SigLIP's layers are CLIP's
  torch::nn::LayerNorm post_layernorm_ = nullptr, final_layer_norm_ = nullptr;
  SiglipPoolingHead head_ = nullptr;
  Linear text_head_ = nullptr;
};
TORCH_MODULE(SiglipModel);

}  // namespace likeness

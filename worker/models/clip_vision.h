// CLIP's vision tower: pictures to one vector each, in the space of the text tower's.
// Source: Radford et al. 2103.00020; keys and config.json as transformers' CLIPModel.
// Shapes: B batch, C channels, H W pixels, T patches and the class, D width, P of the projection.
#pragma once

#include <torch/torch.h>

#include <cstdint>
#include <string>
#include <vector>

#include "third_party/nlohmann/json_fwd.hpp"
#include "worker/models/clip_text.h"

namespace likeness {

struct ClipVisionOptions {
  int64_t hidden_size = 768;
  int64_t intermediate_size = 3072;
  int64_t num_hidden_layers = 12;
  int64_t num_attention_heads = 12;
  int64_t image_size = 224;
  int64_t patch_size = 32;
  std::string hidden_act = "quick_gelu";  // or "gelu"
  double layer_norm_eps = 1e-5;
  int64_t projection_dim = 512;
};

// Both towers, as one config.json gives them.
struct ClipOptions {
  ClipTextOptions text;  // with_projection
  ClipVisionOptions vision;

  // From and to the config.json of a CLIPModel. A setting that this code does not support is an
  // Error (kFailedPrecondition) that names it.
  static ClipOptions FromJson(const nlohmann::json& config);
  nlohmann::json ToJson() const;
};

class ClipVisionModelImpl : public torch::nn::Module {
 public:
  explicit ClipVisionModelImpl(ClipVisionOptions options);

  // pixels_BCHW: image_size x image_size, normalized as preprocessor_config.json says. Gives the
  // projected class embedding, BP.
  torch::Tensor forward(const torch::Tensor& pixels_BCHW);

  const ClipVisionOptions& options() const { return options_; }

 private:
  ClipVisionOptions options_;
  torch::Tensor class_embedding_D_, patch_embedding_DCpp_, position_embedding_TD_;
  torch::nn::LayerNorm pre_layernorm_ = nullptr, post_layernorm_ = nullptr;
  std::vector<ClipEncoderLayer> layers_;
  Linear visual_projection_ = nullptr;
};
TORCH_MODULE(ClipVisionModel);

}  // namespace likeness

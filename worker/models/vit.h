// Vision transformers whose class token describes a picture: DINO (Caron et al. 2104.14294), in the
// layout of transformers' ViTModel; DINOv2 (Oquab et al. 2304.07193) with layer scale and, where it
// has them, registers (Darcet et al. 2309.16588), as Dinov2Model and Dinov2WithRegistersModel.
// Shapes: B batch, C channels, H W pixels, T tokens (class, registers, patches), D width.
#pragma once

#include <torch/torch.h>

#include <cstdint>
#include <string>
#include <vector>

#include "third_party/nlohmann/json_fwd.hpp"
#include "worker/nn/activation.h"
#include "worker/nn/layers.h"

namespace likeness {

enum class VitKind { kVit, kDinov2, kDinov2WithRegisters };

struct VitOptions {
  VitKind kind = VitKind::kVit;
  int64_t hidden_size = 768;
  int64_t intermediate_size = 3072;  // of the gated perceptron: of each of its halves
  int64_t num_hidden_layers = 12;
  int64_t num_attention_heads = 12;
  int64_t image_size = 224;
  int64_t patch_size = 16;
  std::string hidden_act = "gelu";  // or "quick_gelu"
  double layer_norm_eps = 1e-12;
  bool qkv_bias = true;
  bool gated = false;               // DINOv2's giant: SwiGLU in place of the activation
  int64_t num_register_tokens = 0;  // of kDinov2WithRegisters

  // From and to a transformers config.json. A setting that this code does not know, or a value that
  // it does not support, is an Error (kFailedPrecondition) that names it. ToJson: of kVit alone.
  static VitOptions FromJson(const nlohmann::json& config);
  nlohmann::json ToJson() const;
};

// encoder.layer.N: pre-norm self-attention and a perceptron, each scaled in DINOv2.
class VitLayerImpl : public torch::nn::Module {
 public:
  explicit VitLayerImpl(const VitOptions& options);
  torch::Tensor forward(const torch::Tensor& hidden_BTD);

 private:
  void RegisterPerceptron(const VitOptions& options);
  torch::Tensor Perceptron(const torch::Tensor& normed_BTD);

  int64_t heads_;
  Activation activation_;
  torch::nn::LayerNorm norm1_ = nullptr, norm2_ = nullptr;
  Linear query_ = nullptr, key_ = nullptr, value_ = nullptr, out_ = nullptr;
  bool gated_;
  Linear fc1_ = nullptr, fc2_ = nullptr;
  torch::Tensor scale1_D_, scale2_D_;  // undefined in kVit
};
TORCH_MODULE(VitLayer);

class VitModelImpl : public torch::nn::Module {
 public:
  explicit VitModelImpl(VitOptions options);

  // pixels_BCHW normalized as preprocessor_config.json says; H and W multiples of patch_size, and
  // image_size where the kind is kVit. Gives the class token after the final layer norm, BD.
  torch::Tensor forward(const torch::Tensor& pixels_BCHW);
  // Both the class token and the patches, row by row.
  struct Tokens {
    torch::Tensor class_BD, patches_BPD;
  };
  Tokens Read(const torch::Tensor& pixels_BCHW);

  const VitOptions& options() const { return options_; }

 private:
  // [B,T,D], before the final layer norm.
  torch::Tensor Encode(const torch::Tensor& pixels_BCHW);
  // Of a picture of so many patches, [1,T,D] without registers; between those that were trained.
  torch::Tensor PositionsFor(int64_t rows, int64_t columns) const;

  VitOptions options_;
  torch::Tensor cls_token_11D_, position_embeddings_1TD_, register_tokens_1RD_;
  Conv2d projection_ = nullptr;
  std::vector<VitLayer> layers_;
  torch::nn::LayerNorm layernorm_ = nullptr;
};
TORCH_MODULE(VitModel);

}  // namespace likeness

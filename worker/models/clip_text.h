// CLIP's text tower: token ids to one vector a token, which the UNet attends to.
// Source: Radford et al. 2103.00020; keys and config.json as transformers' CLIPTextModel
// and CLIPTextModelWithProjection.
// Shapes: B batch, T tokens, D width, P width of the projection.
#pragma once

#include <torch/torch.h>

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "third_party/nlohmann/json_fwd.hpp"
#include "worker/nn/activation.h"
#include "worker/nn/layers.h"

namespace likeness {

struct ClipTextOptions {
  int64_t vocab_size = 49408;
  int64_t hidden_size = 768;
  int64_t intermediate_size = 3072;
  int64_t num_hidden_layers = 12;
  int64_t num_attention_heads = 12;
  int64_t max_position_embeddings = 77;
  std::string hidden_act = "quick_gelu";  // or "gelu"
  double layer_norm_eps = 1e-5;
  int64_t projection_dim = 768;  // kept for config.json where there is no projection
  bool with_projection = false;  // transformers' CLIPTextModelWithProjection
  int64_t bos_token_id = 49406;
  int64_t eos_token_id = 49407;
  int64_t pad_token_id = 1;

  // From and to a transformers config.json. A setting that this code does not support is an Error
  // (kFailedPrecondition) that names it.
  static ClipTextOptions FromJson(const nlohmann::json& config);
  nlohmann::json ToJson() const;
};

struct ClipLayerOptions {
  int64_t hidden_size;
  int64_t intermediate_size;
  int64_t num_hidden_layers;  // of the tower: the deeper, the narrower a layer is initialised
  int64_t num_attention_heads;
  std::string hidden_act;
  double layer_norm_eps;
  bool causal;  // in the text tower
};

// encoder.layers.N of either tower: pre-norm self-attention and a two-layer perceptron.
class ClipEncoderLayerImpl : public torch::nn::Module {
 public:
  explicit ClipEncoderLayerImpl(const ClipLayerOptions& options);
  torch::Tensor forward(const torch::Tensor& hidden_BTD);

 private:
  int64_t heads_;
  bool causal_;
  Activation activation_;
  torch::nn::LayerNorm layer_norm1_ = nullptr;
  Linear q_proj_ = nullptr, k_proj_ = nullptr, v_proj_ = nullptr, out_proj_ = nullptr;
  torch::nn::LayerNorm layer_norm2_ = nullptr;
  Linear fc1_ = nullptr, fc2_ = nullptr;
};
TORCH_MODULE(ClipEncoderLayer);

class ClipTextModelImpl : public torch::nn::Module {
 public:
  explicit ClipTextModelImpl(ClipTextOptions options);

  // input_ids_BT: int64, T at most max_position_embeddings. Gives what comes out of the last layer,
  // or of the one `skipped` before it, after the final layer norm, BTD.
  torch::Tensor Forward(const torch::Tensor& input_ids_BT, int skipped = 0);

  struct Output {
    std::vector<torch::Tensor> hidden;  // of each layer what goes into it, BTD, and what comes out
    torch::Tensor last;                 // after the final layer norm, BTD
    torch::Tensor projected;  // `last` at the end token, projected, BP; where with_projection

    // What goes into the last layers, so many of them, BTD. Error: kInvalidArgument.
    const torch::Tensor& Before(int layers) const;
  };
  Output ForwardAll(const torch::Tensor& input_ids_BT);

  // The rows of ids below vocab_size, [N,D].
  torch::Tensor RowsOf(const std::vector<int64_t>& ids) const;
  // What ids from vocab_size on stand for, one tensor [K,D] after another; none at first.
  // Differentiable.
  void set_new_rows(std::vector<torch::Tensor> rows_KD) { new_rows_KD_ = std::move(rows_KD); }

  const ClipTextOptions& options() const { return options_; }

 private:
  torch::Tensor Embed(const torch::Tensor& input_ids_BT);

  ClipTextOptions options_;
  torch::nn::Embedding token_embedding_ = nullptr;
  torch::nn::Embedding position_embedding_ = nullptr;
  std::vector<ClipEncoderLayer> layers_;
  torch::nn::LayerNorm final_layer_norm_ = nullptr;
  Linear text_projection_ = nullptr;  // where with_projection
  std::vector<torch::Tensor> new_rows_KD_;
};
TORCH_MODULE(ClipTextModel);

}  // namespace likeness

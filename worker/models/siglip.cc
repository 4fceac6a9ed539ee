#include "worker/models/siglip.h"

#include <cmath>
#include <memory>
#include <utility>

#include "worker/base/error.h"
#include "worker/models/encoder.h"
#include "worker/nn/attention.h"
#include "worker/nn/block_list.h"
#include "worker/nn/project.h"

namespace likeness {
namespace {

// A module that is there for its name in the checkpoint alone.
std::shared_ptr<torch::nn::Module> Named(torch::nn::Module& parent, const std::string& name) {
  return parent.register_module(name, std::make_shared<torch::nn::Module>());
}

std::vector<ClipEncoderLayer> MakeLayers(const SiglipTowerOptions& options) {
  const ClipLayerOptions layer = {.hidden_size = options.hidden_size,
                                  .intermediate_size = options.intermediate_size,
                                  .num_hidden_layers = options.num_hidden_layers,
                                  .num_attention_heads = options.num_attention_heads,
                                  .hidden_act = options.hidden_act,
                                  .layer_norm_eps = options.layer_norm_eps,
                                  .causal = false};
  std::vector<ClipEncoderLayer> layers;
  for (int64_t i = 0; i < options.num_hidden_layers; ++i) layers.emplace_back(layer);
  return layers;
}

}  // namespace

SiglipPoolingHeadImpl::SiglipPoolingHeadImpl(const SiglipVisionOptions& options)
    : heads_(options.num_attention_heads), activation_(ActivationByName(options.hidden_act)) {
  const int64_t width = options.hidden_size;
  const double deviation = std::pow(width, -0.5);
  probe_11D_ = register_parameter("probe", DrawnParameter({1, 1, width}, deviation));
  auto attention = Named(*this, "attention");
  in_proj_weight_ = attention->register_parameter("in_proj_weight",
                                                  DrawnParameter({3 * width, width}, deviation));
  in_proj_bias_ =
      attention->register_parameter("in_proj_bias", DrawnParameter({3 * width}, deviation));
  out_proj_ = attention->register_module("out_proj", Linear(width, width));
  layernorm_ = register_module("layernorm", MakeLayerNorm(width, options.layer_norm_eps));
  auto mlp = Named(*this, "mlp");
  fc1_ = mlp->register_module("fc1", Linear(width, options.intermediate_size));
  fc2_ = mlp->register_module("fc2", Linear(options.intermediate_size, width));
}

torch::Tensor SiglipPoolingHeadImpl::forward(const torch::Tensor& patches_BPD) {
  // attention of the probe to the patches
  const auto weights = in_proj_weight_.chunk(3);
  const auto biases = in_proj_bias_.chunk(3);
  const auto query_11D = Project(probe_11D_, weights[0], biases[0]);
  auto pooled_B1D = MultiHeadAttention(query_11D.expand({patches_BPD.size(0), -1, -1}),
                                       Project(patches_BPD, weights[1], biases[1]),
                                       Project(patches_BPD, weights[2], biases[2]), heads_);
  pooled_B1D = out_proj_(pooled_B1D);
  // feed-forward
  return (pooled_B1D + fc2_(activation_(fc1_(layernorm_(pooled_B1D))))).select(1, 0);
}

SiglipModelImpl::SiglipModelImpl(SiglipOptions options) : options_(std::move(options)) {
  RegisterVision();
  RegisterText();
}

void SiglipModelImpl::RegisterVision() {
  const SiglipVisionOptions& options = options_.vision;
  const int64_t width = options.hidden_size;
  const int64_t side = options.image_size / options.patch_size;
  auto vision_model = Named(*this, "vision_model");
  auto embeddings = Named(*vision_model, "embeddings");
  auto patches = Named(*embeddings, "patch_embedding");
  patch_weight_DCpp_ = patches->register_parameter(
      "weight", DrawnParameter({width, 3, options.patch_size, options.patch_size}, 0.02));
  patch_bias_D_ = patches->register_parameter("bias", DrawnParameter({width}, 0.02));
  patch_positions_PD_ = Named(*embeddings, "position_embedding")
                            ->register_parameter("weight", DrawnParameter({side * side, width},
                                                                          std::pow(width, -0.5)));
  vision_layers_ = MakeLayers(options);
  RegisterBlocks(*Named(*vision_model, "encoder"), "layers", vision_layers_);
  post_layernorm_ =
      vision_model->register_module("post_layernorm", MakeLayerNorm(width, options.layer_norm_eps));
  head_ = vision_model->register_module("head", SiglipPoolingHead(options));
}

void SiglipModelImpl::RegisterText() {
  const SiglipTextOptions& options = options_.text;
  const int64_t width = options.hidden_size;
  auto text_model = Named(*this, "text_model");
  auto embeddings = Named(*text_model, "embeddings");
  tokens_VD_ =
      Named(*embeddings, "token_embedding")
          ->register_parameter("weight", DrawnParameter({options.vocab_size, width}, 0.02));
  token_positions_TD_ =
      Named(*embeddings, "position_embedding")
          ->register_parameter("weight",
                               DrawnParameter({options.max_position_embeddings, width}, 0.02));
  text_layers_ = MakeLayers(options);
  RegisterBlocks(*Named(*text_model, "encoder"), "layers", text_layers_);
  final_layer_norm_ =
      text_model->register_module("final_layer_norm", MakeLayerNorm(width, options.layer_norm_eps));
  text_head_ = text_model->register_module("head", Linear(width, options.projection_size));
}

torch::Tensor SiglipModelImpl::ReadPicture(const torch::Tensor& pixels_BCHW) {
  const SiglipVisionOptions& options = options_.vision;
  if (pixels_BCHW.size(2) != options.image_size || pixels_BCHW.size(3) != options.image_size) {
    throw Error(ErrorKind::kFailedPrecondition,
                "siglip: preprocessor_config.json gives pictures of another size than the " +
                    std::to_string(options.image_size) + " pixels that the network reads");
  }
  // embeddings: the patches with their positions
  auto hidden_BPD =
      torch::conv2d(pixels_BCHW, patch_weight_DCpp_, patch_bias_D_, options.patch_size)
          .flatten(2)
          .transpose(1, 2) +
      patch_positions_PD_;
  // encoder
  for (auto& layer : vision_layers_) hidden_BPD = layer(hidden_BPD);
  return post_layernorm_(hidden_BPD);
}

torch::Tensor SiglipModelImpl::ReadPrompt(const torch::Tensor& input_ids_BT) {
  // embeddings: the tokens with their positions
  auto hidden_BTD = torch::embedding(tokens_VD_, input_ids_BT) + token_positions_TD_;
  // encoder: every token sees all others, padding included
  for (auto& layer : text_layers_) hidden_BTD = layer(hidden_BTD);
  // the last token, which is padding unless the prompt fills the tower
  return text_head_(final_layer_norm_(hidden_BTD).select(1, -1));
}

}  // namespace likeness

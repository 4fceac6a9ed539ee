#include "worker/models/clip_vision.h"

#include <cmath>
#include <utility>

#include "third_party/nlohmann/json.hpp"
#include "worker/base/error.h"
#include "worker/base/io/config_reader.h"
#include "worker/models/encoder.h"
#include "worker/nn/block_list.h"

namespace likeness {
namespace {

using nlohmann::json;

ClipVisionOptions VisionFromJson(const json& config) {
  ClipVisionOptions options;
  ConfigReader reader("vision_config", config);
  reader.Require("model_type", "clip_vision_model");
  reader.Require("num_channels", 3);
  reader.ReadSize("hidden_size", options.hidden_size);
  reader.ReadSize("intermediate_size", options.intermediate_size);
  reader.ReadSize("num_hidden_layers", options.num_hidden_layers);
  reader.ReadSize("num_attention_heads", options.num_attention_heads);
  reader.ReadSize("image_size", options.image_size);
  reader.ReadSize("patch_size", options.patch_size);
  reader.Read("hidden_act", options.hidden_act);
  reader.Read("layer_norm_eps", options.layer_norm_eps);
  CheckVisionEncoder(reader, options);
  return options;
}

json VisionToJson(const ClipVisionOptions& options) {
  return {{"model_type", "clip_vision_model"},
          {"num_channels", 3},
          {"hidden_size", options.hidden_size},
          {"intermediate_size", options.intermediate_size},
          {"num_hidden_layers", options.num_hidden_layers},
          {"num_attention_heads", options.num_attention_heads},
          {"image_size", options.image_size},
          {"patch_size", options.patch_size},
          {"hidden_act", options.hidden_act},
          {"layer_norm_eps", options.layer_norm_eps},
          {"projection_dim", options.projection_dim}};
}

}  // namespace

// As for the text tower (clip_text_config.cc): only what would change the numbers is looked at.
ClipOptions ClipOptions::FromJson(const json& config) {
  ConfigReader reader("clip", config);
  reader.Require("model_type", "clip");
  for (const char* tower : {"text_config", "vision_config"}) {
    if (!reader.Has(tower)) reader.Refuse(tower, "is missing");
  }
  ClipOptions options;
  options.text = ClipTextOptions::FromJson(config.at("text_config"));
  options.vision = VisionFromJson(config.at("vision_config"));
  options.text.with_projection = true;
  // The one of the whole holds; the towers' own are those of other classes.
  reader.ReadSize("projection_dim", options.vision.projection_dim);
  options.text.projection_dim = options.vision.projection_dim;
  return options;
}

json ClipOptions::ToJson() const {
  json text_config = text.ToJson();
  text_config.erase("architectures");
  return {{"architectures", {"CLIPModel"}},
          {"model_type", "clip"},
          {"projection_dim", vision.projection_dim},
          {"text_config", std::move(text_config)},
          {"vision_config", VisionToJson(vision)}};
}

ClipVisionModelImpl::ClipVisionModelImpl(ClipVisionOptions options)
    : options_(std::move(options)),
      pre_layernorm_(MakeLayerNorm(options_.hidden_size, options_.layer_norm_eps)),
      post_layernorm_(MakeLayerNorm(options_.hidden_size, options_.layer_norm_eps)) {
  const int64_t width = options_.hidden_size;
  const int64_t side = options_.image_size / options_.patch_size;
  auto vision_model = register_module("vision_model", std::make_shared<torch::nn::Module>());
  auto embeddings =
      vision_model->register_module("embeddings", std::make_shared<torch::nn::Module>());
  class_embedding_D_ = embeddings->register_parameter(
      "class_embedding", DrawnParameter({width}, std::pow(width, -0.5)));
  auto patches =
      embeddings->register_module("patch_embedding", std::make_shared<torch::nn::Module>());
  patch_embedding_DCpp_ = patches->register_parameter(
      "weight", DrawnParameter({width, 3, options_.patch_size, options_.patch_size}, 0.02));
  auto positions =
      embeddings->register_module("position_embedding", std::make_shared<torch::nn::Module>());
  position_embedding_TD_ =
      positions->register_parameter("weight", DrawnParameter({side * side + 1, width}, 0.02));
  vision_model->register_module("pre_layrnorm", pre_layernorm_);  // spelt so in every checkpoint
  const ClipLayerOptions layer = {.hidden_size = width,
                                  .intermediate_size = options_.intermediate_size,
                                  .num_hidden_layers = options_.num_hidden_layers,
                                  .num_attention_heads = options_.num_attention_heads,
                                  .hidden_act = options_.hidden_act,
                                  .layer_norm_eps = options_.layer_norm_eps,
                                  .causal = false};
  for (int64_t i = 0; i < options_.num_hidden_layers; ++i) layers_.emplace_back(layer);
  auto encoder = vision_model->register_module("encoder", std::make_shared<torch::nn::Module>());
  RegisterBlocks(*encoder, "layers", layers_);
  vision_model->register_module("post_layernorm", post_layernorm_);
  visual_projection_ = register_module("visual_projection",
                                       Linear(width, options_.projection_dim, /*with_bias=*/false));
}

torch::Tensor ClipVisionModelImpl::forward(const torch::Tensor& pixels_BCHW) {
  if (pixels_BCHW.size(2) != options_.image_size || pixels_BCHW.size(3) != options_.image_size) {
    throw Error(ErrorKind::kInternal, "a picture is not of the size that CLIP reads");
  }
  // embeddings: the class, then the patches
  auto patches_BTD =
      torch::conv2d(pixels_BCHW, patch_embedding_DCpp_, /*bias=*/{}, options_.patch_size)
          .flatten(2)
          .transpose(1, 2);
  auto class_B1D = class_embedding_D_.expand({pixels_BCHW.size(0), 1, -1});
  auto hidden_BTD = torch::cat({class_B1D, patches_BTD}, 1) + position_embedding_TD_;
  // encoder
  hidden_BTD = pre_layernorm_(hidden_BTD);
  for (auto& layer : layers_) hidden_BTD = layer(hidden_BTD);
  // projection of the class
  return visual_projection_(post_layernorm_(hidden_BTD.select(1, 0)));
}

}  // namespace likeness

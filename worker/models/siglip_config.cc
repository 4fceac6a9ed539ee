// SiglipOptions to and from transformers' config.json.
#include "third_party/nlohmann/json.hpp"
#include "worker/base/io/config_reader.h"
#include "worker/models/encoder.h"
#include "worker/models/siglip.h"

namespace likeness {
namespace {

using nlohmann::json;

void ReadTower(ConfigReader& reader, SiglipTowerOptions& options) {
  reader.Require("attention_dropout", 0.0);
  reader.ReadSize("hidden_size", options.hidden_size);
  reader.ReadSize("intermediate_size", options.intermediate_size);
  reader.ReadSize("num_hidden_layers", options.num_hidden_layers);
  reader.ReadSize("num_attention_heads", options.num_attention_heads);
  reader.Read("hidden_act", options.hidden_act);
  reader.Read("layer_norm_eps", options.layer_norm_eps);
}

json TowerToJson(const SiglipTowerOptions& options, const char* model_type) {
  return {{"model_type", model_type},
          {"hidden_size", options.hidden_size},
          {"intermediate_size", options.intermediate_size},
          {"num_hidden_layers", options.num_hidden_layers},
          {"num_attention_heads", options.num_attention_heads},
          {"hidden_act", options.hidden_act},
          {"layer_norm_eps", options.layer_norm_eps}};
}

}  // namespace

// As for CLIP: only what would change the numbers is looked at.
SiglipOptions SiglipOptions::FromJson(const json& config) {
  SiglipOptions options;
  ConfigReader whole("siglip", config);
  whole.Require("model_type", "siglip");
  for (const char* tower : {"text_config", "vision_config"}) {
    if (!whole.Has(tower) || !config.at(tower).is_object()) whole.Refuse(tower, "is missing");
  }
  ConfigReader vision("vision_config", config.at("vision_config"));
  vision.Require("model_type", "siglip_vision_model");
  vision.Require("num_channels", 3);
  vision.Require("vision_use_head", true);
  ReadTower(vision, options.vision);
  vision.ReadSize("image_size", options.vision.image_size);
  vision.ReadSize("patch_size", options.vision.patch_size);
  CheckVisionEncoder(vision, options.vision);

  ConfigReader text("text_config", config.at("text_config"));
  text.Require("model_type", "siglip_text_model");
  ReadTower(text, options.text);
  text.ReadSize("vocab_size", options.text.vocab_size);
  text.ReadSize("max_position_embeddings", options.text.max_position_embeddings);
  options.text.projection_size = options.text.hidden_size;
  text.ReadSize("projection_size", options.text.projection_size);
  CheckEncoder(text, options.text);
  if (options.text.projection_size != options.vision.hidden_size) {
    text.Refuse("projection_size", "is not the hidden_size of vision_config");
  }
  return options;
}

json SiglipOptions::ToJson() const {
  json text_config = TowerToJson(text, "siglip_text_model");
  text_config["vocab_size"] = text.vocab_size;
  text_config["max_position_embeddings"] = text.max_position_embeddings;
  text_config["projection_size"] = text.projection_size;
  json vision_config = TowerToJson(vision, "siglip_vision_model");
  vision_config["image_size"] = vision.image_size;
  vision_config["patch_size"] = vision.patch_size;
  return {{"architectures", {"SiglipModel"}},
          {"model_type", "siglip"},
          {"text_config", std::move(text_config)},
          {"vision_config", std::move(vision_config)}};
}

}  // namespace likeness

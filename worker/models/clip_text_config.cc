// ClipTextOptions to and from transformers' config.json.
#include <string>
#include <vector>

#include "third_party/nlohmann/json.hpp"
#include "worker/base/io/config_reader.h"
#include "worker/models/clip_text.h"
#include "worker/models/encoder.h"

namespace likeness {

// Configs of this library carry whatever settings its version knew for any model, so what is not
// read here is not refused; only what would change the numbers is looked at.
ClipTextOptions ClipTextOptions::FromJson(const nlohmann::json& config) {
  // Where it says nothing: as CLIPTextConfig has it, which is not Stable Diffusion's tower.
  ClipTextOptions options{.hidden_size = 512,
                          .intermediate_size = 2048,
                          .num_attention_heads = 8,
                          .projection_dim = 512};
  ConfigReader reader("text_encoder", config);
  reader.Require("model_type", "clip_text_model");
  reader.Require("attention_dropout", 0.0);
  reader.ReadSize("vocab_size", options.vocab_size);
  reader.ReadSize("hidden_size", options.hidden_size);
  reader.ReadSize("intermediate_size", options.intermediate_size);
  reader.ReadSize("num_hidden_layers", options.num_hidden_layers);
  reader.ReadSize("num_attention_heads", options.num_attention_heads);
  reader.ReadSize("max_position_embeddings", options.max_position_embeddings);
  reader.Read("hidden_act", options.hidden_act);
  reader.Read("layer_norm_eps", options.layer_norm_eps);
  reader.Read("projection_dim", options.projection_dim);
  std::vector<std::string> architectures;
  reader.Read("architectures", architectures);
  options.with_projection =
      architectures == std::vector<std::string>{"CLIPTextModelWithProjection"};
  reader.Read("bos_token_id", options.bos_token_id);
  reader.Read("eos_token_id", options.eos_token_id);
  reader.Read("pad_token_id", options.pad_token_id);
  CheckEncoder(reader, options);
  return options;
}

nlohmann::json ClipTextOptions::ToJson() const {
  return {{"architectures", nlohmann::json::array({with_projection ? "CLIPTextModelWithProjection"
                                                                   : "CLIPTextModel"})},
          {"model_type", "clip_text_model"},
          {"vocab_size", vocab_size},
          {"hidden_size", hidden_size},
          {"intermediate_size", intermediate_size},
          {"num_hidden_layers", num_hidden_layers},
          {"num_attention_heads", num_attention_heads},
          {"max_position_embeddings", max_position_embeddings},
          {"hidden_act", hidden_act},
          {"layer_norm_eps", layer_norm_eps},
          {"projection_dim", projection_dim},
          {"bos_token_id", bos_token_id},
          {"eos_token_id", eos_token_id},
          {"pad_token_id", pad_token_id}};
}

}  // namespace likeness

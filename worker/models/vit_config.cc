// VitOptions to and from transformers' config.json.
#include <cmath>
#include <map>
#include <string>

#include "third_party/nlohmann/json.hpp"
#include "worker/base/error.h"
#include "worker/base/io/config_reader.h"
#include "worker/models/encoder.h"
#include "worker/models/vit.h"

namespace likeness {
namespace {

VitKind KindOf(const nlohmann::json& config) {
  static const std::map<std::string, VitKind> kinds = {
      {"vit", VitKind::kVit},
      {"dinov2", VitKind::kDinov2},
      {"dinov2_with_registers", VitKind::kDinov2WithRegisters}};
  ConfigReader reader("vit", config);
  const auto found = kinds.find(reader.Get<std::string>("model_type"));
  if (found == kinds.end()) {
    reader.Refuse("model_type", "is not supported; it may be vit, dinov2 or dinov2_with_registers");
  }
  return found->second;
}

// transformers' Dinov2MLP and Dinov2SwiGLUFFN.
int64_t Dinov2Intermediate(ConfigReader& reader, const VitOptions& options) {
  double ratio = 4;
  reader.Read("mlp_ratio", ratio);
  const auto width = static_cast<int64_t>(static_cast<double>(options.hidden_size) * ratio);
  if (width < 1 || width > (int64_t{1} << 20)) reader.Refuse("mlp_ratio", "is out of range");
  return options.gated ? (static_cast<int64_t>(width * 2.0 / 3) + 7) / 8 * 8 : width;
}

}  // namespace

VitOptions VitOptions::FromJson(const nlohmann::json& config) {
  VitOptions options;
  options.kind = KindOf(config);
  const bool dinov2 = options.kind != VitKind::kVit;
  ConfigReader reader("vit", config);
  reader.Require("num_channels", 3);
  reader.ReadSize("hidden_size", options.hidden_size);
  reader.ReadSize("num_hidden_layers", options.num_hidden_layers);
  reader.ReadSize("num_attention_heads", options.num_attention_heads);
  reader.ReadSize("image_size", options.image_size);
  reader.ReadSize("patch_size", options.patch_size);
  reader.Read("hidden_act", options.hidden_act);
  options.layer_norm_eps = dinov2 ? 1e-6 : 1e-12;
  reader.Read("layer_norm_eps", options.layer_norm_eps);
  reader.Read("qkv_bias", options.qkv_bias);
  if (dinov2) {
    reader.Read("use_swiglu_ffn", options.gated);
    options.intermediate_size = Dinov2Intermediate(reader, options);
    if (options.kind == VitKind::kDinov2WithRegisters) {
      options.num_register_tokens = 4;
      reader.ReadSize("num_register_tokens", options.num_register_tokens);
    }
    // What a fresh model begins with, and what its backbone gives out.
    reader.Ignore({"layerscale_value", "drop_path_rate", "out_features", "out_indices",
                   "stage_names", "reshape_hidden_states", "apply_layernorm", "use_mask_token"});
  } else {
    reader.ReadSize("intermediate_size", options.intermediate_size);
    // Of the pooler, which is left out, and of a decoder that ViTModel has not.
    reader.Ignore({"encoder_stride", "pooler_act", "pooler_output_size"});
  }
  reader.Ignore({"model_type", "architectures", "dtype", "torch_dtype", "transformers_version",
                 "attention_probs_dropout_prob", "hidden_dropout_prob", "initializer_range"});
  reader.Finish();
  CheckVisionEncoder(reader, options);
  return options;
}

nlohmann::json VitOptions::ToJson() const {
  if (kind != VitKind::kVit) {
    throw Error(ErrorKind::kInternal, "only a vit's config is written");
  }
  return {{"architectures", {"ViTModel"}},
          {"model_type", "vit"},
          {"num_channels", 3},
          {"hidden_size", hidden_size},
          {"intermediate_size", intermediate_size},
          {"num_hidden_layers", num_hidden_layers},
          {"num_attention_heads", num_attention_heads},
          {"image_size", image_size},
          {"patch_size", patch_size},
          {"hidden_act", hidden_act},
          {"layer_norm_eps", layer_norm_eps},
          {"qkv_bias", qkv_bias}};
}

}  // namespace likeness

// UNet2DConditionOptions to and from diffusers' config.json.
#include <algorithm>
#include <string>
#include <vector>

#include "third_party/nlohmann/json.hpp"
#include "worker/base/io/config_reader.h"
#include "worker/models/unet.h"

namespace likeness {
namespace {

// One number for all levels, or a list of one a level; where they are equal, the number.
void ReadPerLevel(ConfigReader& reader, const nlohmann::json& config, const char* setting,
                  size_t levels, std::vector<int64_t>& values) {
  const auto found = config.find(setting);
  if (found == config.end() || found->is_array()) {
    reader.ReadSizes(setting, values);
  } else {
    int64_t everywhere = values.front();
    reader.ReadSize(setting, everywhere);
    values = {everywhere};
  }
  if (values.size() != 1 && values.size() != levels) {
    reader.Refuse(setting, "is neither one number nor one a level");
  }
  const bool equal = std::all_of(values.begin(), values.end(),
                                 [&](int64_t value) { return value == values.front(); });
  if (equal) values = {values.front()};
}

nlohmann::json PerLevel(const std::vector<int64_t>& values) {
  return values.size() == 1 ? nlohmann::json(values.front()) : nlohmann::json(values);
}

void ReadTextTime(ConfigReader& reader, UNet2DConditionOptions& options) {
  reader.Ignore({"addition_embed_type_num_heads"});  // of other addition_embed_types
  if (!reader.Has("addition_embed_type")) return;
  reader.Require("addition_embed_type", "text_time");
  for (const char* needed : {"addition_time_embed_dim", "projection_class_embeddings_input_dim"}) {
    if (!reader.Has(needed)) reader.Refuse(needed, "is missing beside addition_embed_type");
  }
  reader.ReadSize("addition_time_embed_dim", options.addition_time_embed_dim);
  reader.ReadSize("projection_class_embeddings_input_dim",
                  options.projection_class_embeddings_input_dim);
}

void RequireOneOf(const ConfigReader& reader, const std::string& setting,
                  const std::vector<std::string>& types, const std::string& plain,
                  const std::string& crossed, size_t levels) {
  if (types.size() != levels) reader.Refuse(setting, "does not have one entry a level");
  for (const auto& type : types) {
    if (type != plain && type != crossed) {
      reader.Refuse(setting, "is not supported; an entry may be " + plain + " or " + crossed);
    }
  }
}

void Check(const ConfigReader& reader, const UNet2DConditionOptions& options) {
  const size_t levels = options.block_out_channels.size();
  RequireOneOf(reader, "down_block_types", options.down_block_types, "DownBlock2D",
               "CrossAttnDownBlock2D", levels);
  RequireOneOf(reader, "up_block_types", options.up_block_types, "UpBlock2D", "CrossAttnUpBlock2D",
               levels);
  for (size_t level = 0; level < levels; ++level) {
    const int64_t channels = options.block_out_channels[level];
    if (channels % options.norm_num_groups != 0) {
      reader.Refuse("block_out_channels", "has a width that norm_num_groups does not divide");
    }
    if (channels % options.HeadsAt(level) != 0) {
      reader.Refuse("attention_head_dim", "does not divide the width of its level");
    }
  }
}

void RequireTheRest(ConfigReader& reader) {
  reader.Require("act_fn", "silu");
  reader.Require("attention_type", "default");
  reader.Require("conv_in_kernel", 3);
  reader.Require("conv_out_kernel", 3);
  reader.Require("downsample_padding", 1);
  reader.Require("dropout", 0.0);
  reader.Require("flip_sin_to_cos", true);
  reader.Require("freq_shift", 0);
  reader.Require("mid_block_scale_factor", 1);
  reader.Require("mid_block_type", "UNetMidBlock2DCrossAttn");
  reader.Require("resnet_out_scale_factor", 1.0);
  reader.Require("resnet_time_scale_shift", "default");
  reader.Require("time_embedding_type", "positional");
  reader.Finish();
}

}  // namespace

UNet2DConditionOptions UNet2DConditionOptions::FromJson(const nlohmann::json& config) {
  UNet2DConditionOptions options;
  ConfigReader reader("unet", config);
  reader.ReadSize("sample_size", options.sample_size);
  reader.ReadSize("in_channels", options.in_channels);
  reader.ReadSize("out_channels", options.out_channels);
  reader.ReadSizes("block_out_channels", options.block_out_channels);
  const size_t levels = options.block_out_channels.size();
  reader.Read("down_block_types", options.down_block_types);
  reader.Read("up_block_types", options.up_block_types);
  reader.ReadSizePerLevel("layers_per_block", levels, options.layers_per_block);
  reader.ReadSizePerLevel("cross_attention_dim", levels, options.cross_attention_dim);
  ReadPerLevel(reader, config, "attention_head_dim", levels, options.attention_head_dim);
  ReadPerLevel(reader, config, "transformer_layers_per_block", levels,
               options.transformer_layers_per_block);
  ReadTextTime(reader, options);
  reader.ReadSize("norm_num_groups", options.norm_num_groups);
  reader.Read("norm_eps", options.norm_eps);
  reader.Read("use_linear_projection", options.use_linear_projection);
  // Attention here never loses range in bfloat16 or float32: it changes nothing.
  reader.Read("upcast_attention", options.upcast_attention);
  Check(reader, options);
  RequireTheRest(reader);
  return options;
}

nlohmann::json UNet2DConditionOptions::ToJson() const {
  nlohmann::json config = {{"_class_name", "UNet2DConditionModel"},
                           {"sample_size", sample_size},
                           {"in_channels", in_channels},
                           {"out_channels", out_channels},
                           {"block_out_channels", block_out_channels},
                           {"down_block_types", down_block_types},
                           {"mid_block_type", "UNetMidBlock2DCrossAttn"},
                           {"up_block_types", up_block_types},
                           {"layers_per_block", layers_per_block},
                           {"cross_attention_dim", cross_attention_dim},
                           {"norm_num_groups", norm_num_groups},
                           {"norm_eps", norm_eps},
                           {"act_fn", "silu"},
                           {"use_linear_projection", use_linear_projection},
                           {"upcast_attention", upcast_attention}};
  config["attention_head_dim"] = PerLevel(attention_head_dim);
  config["transformer_layers_per_block"] = PerLevel(transformer_layers_per_block);
  if (has_text_time()) {
    config["addition_embed_type"] = "text_time";
    config["addition_time_embed_dim"] = addition_time_embed_dim;
    config["projection_class_embeddings_input_dim"] = projection_class_embeddings_input_dim;
  }
  return config;
}

int64_t UNet2DConditionOptions::LayersAt(size_t level) const {
  const auto& layers = transformer_layers_per_block;
  return layers.size() == 1 ? layers.front() : layers.at(level);
}

int64_t UNet2DConditionOptions::HeadsAt(size_t level) const {
  return attention_head_dim.size() == 1 ? attention_head_dim.front() : attention_head_dim.at(level);
}

}  // namespace likeness

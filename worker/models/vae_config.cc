// AutoencoderKlOptions to and from diffusers' config.json.
#include <string>
#include <vector>

#include "third_party/nlohmann/json.hpp"
#include "worker/base/io/config_reader.h"
#include "worker/models/vae.h"

namespace likeness {
namespace {

std::vector<std::string> Repeat(const std::string& type, size_t levels) {
  return std::vector<std::string>(levels, type);
}

}  // namespace

AutoencoderKlOptions AutoencoderKlOptions::FromJson(const nlohmann::json& config) {
  AutoencoderKlOptions options;
  ConfigReader reader("vae", config);
  reader.Require("in_channels", options.in_channels);  // pictures are red, green and blue
  reader.Require("out_channels", options.out_channels);
  reader.ReadSize("latent_channels", options.latent_channels);
  reader.ReadSizes("block_out_channels", options.block_out_channels);
  const auto& channels = options.block_out_channels;
  reader.ReadSizePerLevel("layers_per_block", channels.size(), options.layers_per_block);
  reader.ReadSize("norm_num_groups", options.norm_num_groups);
  reader.Read("scaling_factor", options.scaling_factor);
  if (!(options.scaling_factor > 0)) reader.Refuse("scaling_factor", "is not above 0");
  reader.ReadSize("sample_size", options.sample_size);
  for (const int64_t width : channels) {
    if (width % options.norm_num_groups != 0) {
      reader.Refuse("block_out_channels", "has a width that norm_num_groups does not divide");
    }
  }
  reader.Require("down_block_types", Repeat("DownEncoderBlock2D", channels.size()));
  reader.Require("up_block_types", Repeat("UpDecoderBlock2D", channels.size()));
  reader.Require("act_fn", "silu");
  reader.Require("use_quant_conv", true);
  reader.Require("use_post_quant_conv", true);
  reader.Require("mid_block_add_attention", true);
  reader.Read("force_upcast", options.force_upcast);
  reader.Finish();
  return options;
}

nlohmann::json AutoencoderKlOptions::ToJson() const {
  return {{"_class_name", "AutoencoderKL"},
          {"in_channels", in_channels},
          {"out_channels", out_channels},
          {"latent_channels", latent_channels},
          {"block_out_channels", block_out_channels},
          {"down_block_types", Repeat("DownEncoderBlock2D", block_out_channels.size())},
          {"up_block_types", Repeat("UpDecoderBlock2D", block_out_channels.size())},
          {"layers_per_block", layers_per_block},
          {"norm_num_groups", norm_num_groups},
          {"act_fn", "silu"},
          {"sample_size", sample_size},
          {"scaling_factor", scaling_factor},
          {"force_upcast", force_upcast}};
}

}  // namespace likeness

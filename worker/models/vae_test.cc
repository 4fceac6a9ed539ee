#include "worker/models/vae.h"

#include <gtest/gtest.h>

#include "third_party/nlohmann/json.hpp"
#include "worker/base/error.h"

namespace likeness {
namespace {

AutoencoderKlOptions Tiny() {
  return {.block_out_channels = {16, 32},
          .layers_per_block = 1,
          .norm_num_groups = 8,
          .sample_size = 16};
}

TEST(AutoencoderKl, EncodesToTheDownscaledSizeAndDecodesBack) {
  AutoencoderKl vae(Tiny());
  auto moments = vae->Encode(torch::zeros({2, 3, 16, 24}));
  EXPECT_EQ(moments.mean_BChw.sizes(), (std::vector<int64_t>{2, 4, 8, 12}));
  EXPECT_EQ(moments.logvar_BChw.sizes(), moments.mean_BChw.sizes());
  auto image = vae->Decode(moments.Sample(torch::zeros_like(moments.mean_BChw)));
  EXPECT_EQ(image.sizes(), (std::vector<int64_t>{2, 3, 16, 24}));
}

TEST(AutoencoderKl, EveryParameterLearnsFromReconstruction) {
  AutoencoderKl vae(Tiny());
  auto images = torch::rand({1, 3, 16, 16}) * 2 - 1;
  auto moments = vae->Encode(images);
  auto noise = torch::randn_like(moments.mean_BChw);
  (vae->Decode(moments.Sample(noise)) - images).square().mean().backward();
  for (const auto& parameter : vae->named_parameters()) {
    EXPECT_TRUE(parameter->grad().defined()) << parameter.key();
  }
}

TEST(AutoencoderKl, NamesParametersAsDiffusers) {
  AutoencoderKl vae(Tiny());
  const auto parameters = vae->named_parameters();
  for (const char* key : {"encoder.down_blocks.0.resnets.0.norm1.weight",
                          "encoder.down_blocks.0.downsamplers.0.conv.bias",
                          "encoder.down_blocks.1.resnets.0.conv_shortcut.weight",
                          "encoder.mid_block.attentions.0.group_norm.weight",
                          "decoder.mid_block.attentions.0.to_out.0.bias",
                          "decoder.up_blocks.0.upsamplers.0.conv.weight",
                          "decoder.up_blocks.1.resnets.1.conv2.weight", "quant_conv.weight",
                          "post_quant_conv.bias"}) {
    EXPECT_TRUE(parameters.contains(key)) << key;
  }
}

TEST(AutoencoderKlOptions, SurviveTheConfigFile) {
  auto options = Tiny();
  options.scaling_factor = 0.5;
  const auto again = AutoencoderKlOptions::FromJson(options.ToJson());
  EXPECT_EQ(again.block_out_channels, options.block_out_channels);
  EXPECT_EQ(again.layers_per_block, 1);
  EXPECT_EQ(again.scaling_factor, 0.5);
  EXPECT_EQ(again.Downscale(), 2);
}

TEST(AutoencoderKlOptions, RefuseWhatIsNotSupportedByName) {
  auto config = Tiny().ToJson();
  config["mid_block_add_attention"] = false;
  try {
    AutoencoderKlOptions::FromJson(config);
    FAIL() << "accepted";
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kFailedPrecondition);
    EXPECT_NE(std::string(error.what()).find("mid_block_add_attention"), std::string::npos);
  }
}

}  // namespace
}  // namespace likeness

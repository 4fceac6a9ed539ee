#include "worker/models/unet.h"

#include <ATen/CPUGeneratorImpl.h>
#include <gtest/gtest.h>

#include "third_party/nlohmann/json.hpp"
#include "worker/base/error.h"
#include "worker/nn/gradient_checkpointing.h"

namespace likeness {
namespace {

UNet2DConditionOptions Tiny() {
  return {.sample_size = 8,
          .block_out_channels = {16, 32, 32},
          .down_block_types = {"CrossAttnDownBlock2D", "CrossAttnDownBlock2D", "DownBlock2D"},
          .up_block_types = {"UpBlock2D", "CrossAttnUpBlock2D", "CrossAttnUpBlock2D"},
          .layers_per_block = 1,
          .cross_attention_dim = 24,
          .attention_head_dim = {4},
          .norm_num_groups = 8};
}

torch::Tensor Predict(UNet2DCondition& unet, int64_t height, int64_t width) {
  return unet->Forward(torch::randn({2, 4, height, width}), torch::tensor({3, 999}),
                       torch::randn({2, 5, 24}));
}

TEST(UNet2DCondition, KeepsTheShapeOfTheLatents) {
  UNet2DCondition unet(Tiny());
  EXPECT_EQ(Predict(unet, 8, 12).sizes(), (std::vector<int64_t>{2, 4, 8, 12}));
}

TEST(UNet2DCondition, TakesSizesThatDoNotHalveEvenly) {
  UNet2DCondition unet(Tiny());
  EXPECT_EQ(Predict(unet, 7, 10).sizes(), (std::vector<int64_t>{2, 4, 7, 10}));
}

TEST(UNet2DCondition, EveryParameterGetsAGradient) {
  UNet2DCondition unet(Tiny());
  Predict(unet, 8, 8).square().mean().backward();
  for (const auto& parameter : unet->named_parameters()) {
    EXPECT_TRUE(parameter->grad().defined()) << parameter.key();
  }
}

TEST(UNet2DCondition, GivesTheSameWithAndWithoutGradients) {
  UNet2DCondition unet(Tiny());
  auto latents = torch::randn({1, 4, 8, 8}), context = torch::randn({1, 5, 24});
  auto recorded = unet->Forward(latents, torch::tensor({7}), context);
  torch::NoGradGuard no_grad;
  EXPECT_TRUE(torch::allclose(unet->Forward(latents, torch::tensor({7}), context), recorded));
}

// What is computed again is the same, so that sums alone are taken in another order.
TEST(UNet2DCondition, GradientsAreEqualWhereActivationsAreComputedAgain) {
  torch::manual_seed(2);
  UNet2DCondition unet(Tiny());
  const auto latents = torch::randn({2, 4, 8, 8}), context = torch::randn({2, 5, 24});
  const auto gradients = [&] {
    unet->zero_grad();
    auto leaf = context.clone().requires_grad_();
    unet->Forward(latents, torch::tensor({3, 999}), leaf).square().mean().backward();
    std::vector<torch::Tensor> all = {leaf.grad()};
    for (const auto& parameter : unet->parameters()) all.push_back(parameter.grad().clone());
    return all;
  };
  const auto kept = gradients();
  const GradientCheckpointing scope(at::make_generator<at::CPUGeneratorImpl>(0));
  const auto again = gradients();
  for (size_t i = 0; i < kept.size(); ++i) {
    EXPECT_LE((kept[i] - again[i]).abs().max().item<float>(),
              1e-5 * kept[i].abs().max().item<float>())
        << i;
  }
}

TEST(UNet2DCondition, NamesParametersAsDiffusers) {
  UNet2DCondition unet(Tiny());
  const auto parameters = unet->named_parameters();
  for (const char* key :
       {"conv_in.weight", "time_embedding.linear_2.bias",
        "down_blocks.0.attentions.0.transformer_blocks.0.attn1.to_q.weight",
        "down_blocks.1.attentions.0.transformer_blocks.0.ff.net.0.proj.weight",
        "down_blocks.1.attentions.0.transformer_blocks.0.ff.net.2.bias",
        "down_blocks.0.downsamplers.0.conv.weight", "mid_block.attentions.0.proj_in.weight",
        "mid_block.resnets.1.time_emb_proj.weight", "up_blocks.0.resnets.1.conv_shortcut.weight",
        "up_blocks.1.upsamplers.0.conv.weight", "up_blocks.2.attentions.1.proj_out.bias",
        "conv_norm_out.weight", "conv_out.bias"}) {
    EXPECT_TRUE(parameters.contains(key)) << key;
  }
  EXPECT_FALSE(parameters.contains("down_blocks.2.attentions.0.norm.weight"));
  EXPECT_FALSE(parameters.contains("mid_block.attentions.0.transformer_blocks.0.attn1.to_q.bias"));
}

TEST(UNet2DConditionOptions, SurviveTheConfigFile) {
  auto options = Tiny();
  options.attention_head_dim = {2, 4, 4};
  options.transformer_layers_per_block = {1, 2, 10};
  options.addition_time_embed_dim = 8;
  options.projection_class_embeddings_input_dim = 64;
  options.upcast_attention = true;
  const auto again = UNet2DConditionOptions::FromJson(options.ToJson());
  EXPECT_EQ(again.ToJson(), options.ToJson());
  EXPECT_EQ(again.HeadsAt(1), 4);
  EXPECT_EQ(again.LayersAt(2), 10);
  EXPECT_TRUE(again.has_text_time());
}

void ExpectRefused(const char* setting, const nlohmann::json& value) {
  auto config = Tiny().ToJson();
  config[setting] = value;
  try {
    UNet2DConditionOptions::FromJson(config);
    ADD_FAILURE() << setting << " = " << value << " was accepted";
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kFailedPrecondition);
    EXPECT_NE(std::string(error.what()).find(setting), std::string::npos) << error.what();
  }
}

TEST(UNet2DConditionOptions, RefuseWhatIsNotSupportedByName) {
  ExpectRefused("act_fn", "mish");
  ExpectRefused("class_embed_type", "timestep");
  ExpectRefused("addition_embed_type", "text_time");  // without its widths
  ExpectRefused("addition_embed_type", "image");
  ExpectRefused("dual_cross_attention", true);
  ExpectRefused("transformer_layers_per_block", nlohmann::json::array({1, 2}));
  ExpectRefused("a_setting_of_the_future", 3);
}

TEST(UNet2DConditionOptions, AListOfTheSameNumberForEachLevelIsTheNumber) {
  const auto plain = Tiny().ToJson();
  auto config = plain;
  const size_t levels = config["block_out_channels"].size();
  for (const char* setting : {"layers_per_block", "cross_attention_dim"}) {
    config[setting] = std::vector<nlohmann::json>(levels, plain[setting]);
  }
  config["transformer_layers_per_block"] = std::vector<int>(levels, 1);
  config["only_cross_attention"] = std::vector<bool>(levels, false);
  EXPECT_EQ(UNet2DConditionOptions::FromJson(config).ToJson(), plain);
  ExpectRefused("layers_per_block", nlohmann::json::array({1, 2, 1}));
  ExpectRefused("cross_attention_dim", nlohmann::json::array({16, 16}));
  ExpectRefused("only_cross_attention", nlohmann::json::array({true, false, false}));
}

TEST(UNet2DConditionOptions, RefuseWhatDoesNotFitTogether) {
  ExpectRefused("down_block_types", nlohmann::json::array({"DownBlock2D"}));
  ExpectRefused("up_block_types",
                nlohmann::json::array({"AttnUpBlock2D", "UpBlock2D", "UpBlock2D"}));
  ExpectRefused("attention_head_dim", 5);
  ExpectRefused("attention_head_dim", nlohmann::json::array({1, 2}));
  ExpectRefused("layers_per_block", "two");
  ExpectRefused("block_out_channels", nlohmann::json::array({16, 32, 33}));
}

}  // namespace
}  // namespace likeness

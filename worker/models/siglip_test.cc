#include "worker/models/siglip.h"

#include <gtest/gtest.h>

#include "third_party/nlohmann/json.hpp"
#include "worker/base/error.h"

namespace likeness {
namespace {

SiglipOptions TinySiglip() {
  return SiglipOptions::FromJson({{"model_type", "siglip"},
                                  {"text_config",
                                   {{"hidden_size", 8},
                                    {"intermediate_size", 12},
                                    {"num_hidden_layers", 1},
                                    {"num_attention_heads", 2},
                                    {"vocab_size", 20},
                                    {"max_position_embeddings", 6},
                                    {"projection_size", 16}}},
                                  {"vision_config",
                                   {{"hidden_size", 16},
                                    {"intermediate_size", 32},
                                    {"num_hidden_layers", 2},
                                    {"num_attention_heads", 2},
                                    {"image_size", 16},
                                    {"patch_size", 8}}}});
}

TEST(SiglipModel, PicturesAndPromptsShareASpace) {
  SiglipModel model(TinySiglip());
  const auto patches = model->ReadPicture(torch::rand({3, 3, 16, 16}));
  EXPECT_EQ(patches.sizes(), (std::vector<int64_t>{3, 4, 16}));
  EXPECT_EQ(model->Pool(patches).sizes(), (std::vector<int64_t>{3, 16}));
  EXPECT_EQ(model->ReadPrompt(torch::ones({2, 6}, torch::kInt64)).sizes(),
            (std::vector<int64_t>{2, 16}));
}

TEST(SiglipModel, APictureOfAnotherSizeIsRefused) {
  SiglipModel model(TinySiglip());
  EXPECT_THROW(model->ReadPicture(torch::rand({1, 3, 24, 16})), Error);
}

TEST(SiglipModel, APatchThatIsLeftOutHasNoPartInThePool) {
  SiglipModel model(TinySiglip());
  const auto patches = torch::randn({1, 4, 16});
  auto other = patches.clone();
  other.select(1, 3).fill_(7);
  EXPECT_FALSE(torch::allclose(model->Pool(patches), model->Pool(other)));
  EXPECT_TRUE(torch::equal(model->Pool(patches.slice(1, 0, 3)), model->Pool(other.slice(1, 0, 3))));
}

TEST(SiglipOptions, SurviveTheConfigFile) {
  EXPECT_EQ(SiglipOptions::FromJson(TinySiglip().ToJson()).ToJson(), TinySiglip().ToJson());
}

TEST(SiglipOptions, WhatTheConfigLeavesOutIsAsTransformersHasIt) {
  const auto options = SiglipOptions::FromJson({{"model_type", "siglip"},
                                                {"text_config", nlohmann::json::object()},
                                                {"vision_config", nlohmann::json::object()}});
  EXPECT_EQ(options.text.hidden_size, 768);
  EXPECT_EQ(options.text.projection_size, 768);
  EXPECT_EQ(options.text.max_position_embeddings, 64);
  EXPECT_EQ(options.vision.patch_size, 16);
  EXPECT_EQ(options.vision.hidden_act, "gelu_pytorch_tanh");
}

TEST(SiglipOptions, WhatIsNotSupportedIsRefusedByName) {
  const std::vector<std::tuple<std::string, std::string, nlohmann::json>> settings = {
      {"vision_config", "vision_use_head", false}, {"vision_config", "num_channels", 1},
      {"vision_config", "patch_size", 7},          {"vision_config", "hidden_act", "relu"},
      {"text_config", "attention_dropout", 0.1},   {"text_config", "projection_size", 12}};
  for (const auto& [tower, setting, value] : settings) {
    auto config = TinySiglip().ToJson();
    config[tower][setting] = value;
    try {
      SiglipOptions::FromJson(config);
      ADD_FAILURE() << setting;
    } catch (const Error& error) {
      EXPECT_NE(std::string(error.what()).find(setting), std::string::npos) << error.what();
    }
  }
  EXPECT_THROW(SiglipOptions::FromJson({{"model_type", "siglip2"}}), Error);
}

}  // namespace
}  // namespace likeness

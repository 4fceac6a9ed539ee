#include "worker/models/clip_vision.h"

#include <gtest/gtest.h>

#include "third_party/nlohmann/json.hpp"
#include "worker/base/error.h"

namespace likeness {
namespace {

ClipOptions TinyClip() {
  ClipOptions options;
  options.vision = {.hidden_size = 16,
                    .intermediate_size = 32,
                    .num_hidden_layers = 2,
                    .num_attention_heads = 2,
                    .image_size = 16,
                    .patch_size = 8,
                    .projection_dim = 12};
  options.text.hidden_size = 8;
  options.text.num_attention_heads = 2;
  options.text.projection_dim = 12;
  options.text.with_projection = true;
  return options;
}

TEST(ClipVisionModel, GivesOneProjectedVectorAPicture) {
  ClipVisionModel model(TinyClip().vision);
  EXPECT_EQ(model->forward(torch::rand({3, 3, 16, 16})).sizes(), (std::vector<int64_t>{3, 12}));
}

TEST(ClipVisionModel, APictureOfAnotherSizeIsRefused) {
  ClipVisionModel model(TinyClip().vision);
  EXPECT_THROW(model->forward(torch::rand({1, 3, 24, 16})), Error);
}

TEST(ClipOptions, SurviveTheConfigFile) {
  const auto again = ClipOptions::FromJson(TinyClip().ToJson());
  EXPECT_EQ(again.ToJson(), TinyClip().ToJson());
  EXPECT_TRUE(again.text.with_projection);
  EXPECT_EQ(again.text.projection_dim, 12) << "that of the whole, for both towers";
}

TEST(ClipOptions, WhatTheConfigLeavesOutIsAsTransformersHasIt) {
  const auto options = ClipOptions::FromJson({{"model_type", "clip"},
                                              {"text_config", nlohmann::json::object()},
                                              {"vision_config", nlohmann::json::object()}});
  EXPECT_EQ(options.text.hidden_size, 512);
  EXPECT_EQ(options.text.intermediate_size, 2048);
  EXPECT_EQ(options.text.num_attention_heads, 8);
  EXPECT_EQ(options.text.num_hidden_layers, 12);
  EXPECT_EQ(options.text.projection_dim, 512);
  EXPECT_EQ(options.vision.hidden_size, 768);
  EXPECT_EQ(options.vision.projection_dim, 512);
}

TEST(ClipOptions, WhatIsNotSupportedIsRefusedByName) {
  for (const auto& [tower, setting] :
       std::vector<std::pair<std::string, std::string>>{{"vision_config", "hidden_act"},
                                                        {"vision_config", "num_channels"},
                                                        {"text_config", "hidden_act"},
                                                        {"vision_config", "model_type"}}) {
    auto config = TinyClip().ToJson();
    config[tower][setting] = "other";
    try {
      ClipOptions::FromJson(config);
      ADD_FAILURE() << setting << " is not refused";
    } catch (const Error& error) {
      EXPECT_NE(std::string(error.what()).find(setting), std::string::npos) << error.what();
    }
  }
}

}  // namespace
}  // namespace likeness

#include "worker/models/vit.h"

#include <gtest/gtest.h>

#include "third_party/nlohmann/json.hpp"
#include "worker/base/error.h"

namespace likeness {
namespace {

VitOptions TinyVit() {
  return {.hidden_size = 16,
          .intermediate_size = 32,
          .num_hidden_layers = 2,
          .num_attention_heads = 2,
          .image_size = 16,
          .patch_size = 4};
}

std::string RefusedSetting(const nlohmann::json& config) {
  try {
    VitOptions::FromJson(config);
  } catch (const Error& error) {
    return error.what();
  }
  return "";
}

TEST(VitModel, GivesOneVectorAPicture) {
  VitModel model(TinyVit());
  EXPECT_EQ(model->forward(torch::rand({3, 3, 16, 16})).sizes(), (std::vector<int64_t>{3, 16}));
}

TEST(VitModel, APictureOfAnotherSizeThanItsPositionsIsRefused) {
  VitModel model(TinyVit());
  EXPECT_THROW(model->forward(torch::rand({1, 3, 20, 20})), Error);
}

TEST(VitModel, Dinov2ReadsAnyWholeNumberOfPatches) {
  auto options = TinyVit();
  options.kind = VitKind::kDinov2;
  VitModel model(options);
  EXPECT_EQ(model->forward(torch::rand({1, 3, 20, 24})).size(1), 16);
  EXPECT_THROW(model->forward(torch::rand({1, 3, 18, 16})), Error);
}

TEST(VitOptions, SurviveTheConfigFile) {
  EXPECT_EQ(VitOptions::FromJson(TinyVit().ToJson()).ToJson(), TinyVit().ToJson());
}

TEST(VitOptions, WhatChangesTheResultAndIsNotKnownIsRefusedByName) {
  for (const char* setting : {"use_rope", "hidden_act", "num_channels", "model_type"}) {
    auto config = TinyVit().ToJson();
    config[setting] = "other";
    EXPECT_NE(RefusedSetting(config).find(setting), std::string::npos) << setting;
  }
}

}  // namespace
}  // namespace likeness

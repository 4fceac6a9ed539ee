#include "worker/models/clip_text.h"

#include <gtest/gtest.h>

#include "third_party/nlohmann/json.hpp"
#include "worker/base/error.h"

namespace likeness {
namespace {

ClipTextOptions Tiny() {
  return {.vocab_size = 50,
          .hidden_size = 16,
          .intermediate_size = 32,
          .num_hidden_layers = 2,
          .num_attention_heads = 2,
          .max_position_embeddings = 8};
}

TEST(ClipTextModel, GivesOneVectorAToken) {
  ClipTextModel model(Tiny());
  auto ids = torch::randint(50, {3, 8});
  EXPECT_EQ(model->Forward(ids).sizes(), (std::vector<int64_t>{3, 8, 16}));
}

TEST(ClipTextModel, ATokenDoesNotSeeThoseAfterIt) {
  ClipTextModel model(Tiny());
  auto before = model->Forward(torch::tensor({{1, 2, 3, 4}}));
  auto after = model->Forward(torch::tensor({{1, 2, 9, 4}}));
  EXPECT_TRUE(torch::equal(before.slice(1, 0, 2), after.slice(1, 0, 2)));
  EXPECT_FALSE(torch::allclose(before.slice(1, 2), after.slice(1, 2)));
}

TEST(ClipTextModel, RefusesMoreTokensThanItHasPositionsFor) {
  ClipTextModel model(Tiny());
  EXPECT_THROW(model->Forward(torch::zeros({1, 9}, torch::kLong)), Error);
}

TEST(ClipTextModel, StartsWithClipsDeviations) {
  auto options = Tiny();
  options.hidden_size = 64;
  ClipTextModel model(options);
  auto parameters = model->named_parameters();
  auto deviation = [&](const char* key) { return parameters[key].std().item<double>(); };
  EXPECT_NEAR(deviation("text_model.embeddings.token_embedding.weight"), 0.02, 0.002);
  EXPECT_NEAR(deviation("text_model.encoder.layers.0.self_attn.q_proj.weight"), 0.0625, 0.005);
  EXPECT_NEAR(deviation("text_model.encoder.layers.1.self_attn.out_proj.weight"), 0.125, 0.01);
  EXPECT_EQ(parameters["text_model.encoder.layers.1.mlp.fc1.bias"].abs().max().item<double>(), 0);
}

TEST(ClipTextOptions, SurviveTheConfigFile) {
  auto options = Tiny();
  options.hidden_act = "gelu";
  EXPECT_EQ(ClipTextOptions::FromJson(options.ToJson()).ToJson(), options.ToJson());
}

TEST(ClipTextOptions, RefuseAnUnknownActivation) {
  auto config = Tiny().ToJson();
  config["hidden_act"] = "swish";
  EXPECT_THROW(ClipTextOptions::FromJson(config), Error);
}

}  // namespace
}  // namespace likeness

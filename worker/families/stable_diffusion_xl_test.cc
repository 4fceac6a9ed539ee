#include "worker/families/stable_diffusion_xl.h"

#include <gtest/gtest.h>

#include "worker/base/error.h"
#include "worker/base/io/temp_dir.h"
#include "worker/families/diffusers_directory.h"
#include "worker/families/tiny_model.h"

namespace likeness {
namespace {

namespace fs = std::filesystem;

StableDiffusionXl TinyXl() {
  const auto tokenizer = TinyModel().parts().tokenizer;
  const auto text = WithTokensOf(tokenizer, {.vocab_size = tokenizer.vocab_size(),
                                             .hidden_size = 16,
                                             .intermediate_size = 32,
                                             .num_hidden_layers = 2,
                                             .num_attention_heads = 2,
                                             .max_position_embeddings = 12,
                                             .projection_dim = 8});
  auto text_2 = text;
  text_2.with_projection = true;
  const UNet2DConditionOptions unet{.sample_size = 8,
                                    .block_out_channels = {16, 32},
                                    .down_block_types = {"DownBlock2D", "CrossAttnDownBlock2D"},
                                    .up_block_types = {"CrossAttnUpBlock2D", "UpBlock2D"},
                                    .layers_per_block = 1,
                                    .cross_attention_dim = 32,
                                    .attention_head_dim = {2},
                                    .transformer_layers_per_block = {1, 2},
                                    .addition_time_embed_dim = 4,
                                    .projection_class_embeddings_input_dim = 8 + 6 * 4,
                                    .norm_num_groups = 8};
  const AutoencoderKlOptions vae{.block_out_channels = {8, 16},
                                 .layers_per_block = 1,
                                 .norm_num_groups = 4,
                                 .sample_size = 16};
  return StableDiffusionXl({.tokenizer = tokenizer,
                            .tokenizer_2 = tokenizer,
                            .text_encoder = ClipTextModel(text),
                            .text_encoder_2 = ClipTextModel(text_2),
                            .unet = UNet2DCondition(unet),
                            .vae = AutoencoderKl(vae)},
                           NoiseSchedule());
}

class StableDiffusionXlTest : public testing::Test {
 protected:
  StableDiffusionXlTest() { SaveModel(dir(), model_, torch::kFloat32); }
  fs::path dir() const { return temp_.path() / "model"; }
  void ExpectRefused(const char* file, const char* setting, const nlohmann::json& value,
                     const std::string& says) {
    const auto whole = ReadJsonFile(dir() / file);
    auto config = whole;
    config[setting] = value;
    WriteJsonFile(dir() / file, config);
    try {
      LoadModel(dir());
      ADD_FAILURE() << "loaded; expected: " << says;
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), ErrorKind::kFailedPrecondition);
      EXPECT_NE(std::string(error.what()).find(says), std::string::npos) << error.what();
    }
    WriteJsonFile(dir() / file, whole);
  }

  TempDir temp_;
  StableDiffusionXl model_ = TinyXl();
};

TEST_F(StableDiffusionXlTest, LoadsWhatWasSaved) {
  const auto loaded = LoadModel(dir());
  EXPECT_EQ(loaded->Parts().size(), 4u);
  torch::NoGradGuard no_grad;
  const auto told = model_.Encode({"a dog"}, {16, 16});
  const auto x = torch::randn({1, 4, 8, 8}), t = torch::tensor({500});
  EXPECT_TRUE(torch::equal(loaded->Predict(x, t, loaded->Encode({"a dog"}, {16, 16})),
                           model_.Predict(x, t, told)));
}

TEST_F(StableDiffusionXlTest, NoPromptIsZerosAndAnEmptyOneIsNot) {
  torch::NoGradGuard no_grad;
  const auto told = model_.Encode({std::nullopt, ""}, {16, 16});
  EXPECT_EQ(told.context_NSD[0].abs().sum().item<float>(), 0);
  EXPECT_EQ(told.pooled_NP[0].abs().sum().item<float>(), 0);
  EXPECT_GT(told.context_NSD[1].abs().sum().item<float>(), 0);
  EXPECT_GT(told.pooled_NP[1].abs().sum().item<float>(), 0);
}

TEST_F(StableDiffusionXlTest, TheGeometryIsTold) {
  torch::NoGradGuard no_grad;
  const auto told = model_.Encode({"a", "b"}, {24, 16});
  const auto numbers = torch::tensor({24, 16, 0, 0, 24, 16}, torch::kInt64);
  for (int i = 0; i < 2; ++i) EXPECT_TRUE(torch::equal(told.numbers_NK[i], numbers));
  const auto x = torch::randn({2, 4, 8, 8}), t = torch::tensor({5, 5});
  EXPECT_FALSE(torch::equal(model_.Predict(x, t, told),
                            model_.Predict(x, t, model_.Encode({"a", "b"}, {16, 16}))));
}

TEST_F(StableDiffusionXlTest, NumbersAreInTheOrderOfTheReference) {
  const MicroConditioning cut{.original_height = 1,
                              .original_width = 2,
                              .crop_top = 3,
                              .crop_left = 4,
                              .target_height = 5,
                              .target_width = 6};
  const auto numbers_NK = model_.Numbers({cut, WholePicture({24, 16})});
  EXPECT_TRUE(torch::equal(
      numbers_NK, torch::tensor({{1, 2, 3, 4, 5, 6}, {24, 16, 0, 0, 24, 16}}, torch::kInt64)));
  EXPECT_NO_THROW(model_.RequireNumbers());
  EXPECT_THROW(TinyModel().RequireNumbers(), Error);
}

TEST_F(StableDiffusionXlTest, ADirectorySaysWhetherItsModelIsToldOfSizes) {
  const TempDir temp;
  SaveModel(temp.path() / "xl", model_, torch::kFloat32);
  SaveModel(temp.path() / "tiny", TinyModel(), torch::kFloat32);
  EXPECT_TRUE(HasMicroConditioning(temp.path() / "xl"));
  EXPECT_FALSE(HasMicroConditioning(temp.path() / "tiny"));
}

TEST_F(StableDiffusionXlTest, TheRefinerAndPartsThatDoNotFitAreRefusedByName) {
  ExpectRefused("model_index.json", "requires_aesthetics_score", true,
                "setting requires_aesthetics_score = true");
  ExpectRefused("unet/config.json", "cross_attention_dim", 16,
                "unet: cross_attention_dim is 16 where the sum of the text encoders'");
  ExpectRefused("unet/config.json", "projection_class_embeddings_input_dim", 31,
                "unet: projection_class_embeddings_input_dim is 31");
  ExpectRefused("unet/config.json", "addition_embed_type", "image", "addition_embed_type");
  ExpectRefused("text_encoder_2/config.json", "architectures", {"CLIPTextModel"},
                "text_encoder_2: architectures");
  ExpectRefused("model_index.json", "_class_name", "StableDiffusionPipeline",
                "unet: cross_attention_dim is 32 where text_encoder's hidden_size is 16");
}

}  // namespace
}  // namespace likeness

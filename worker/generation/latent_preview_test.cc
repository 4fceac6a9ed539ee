#include "worker/generation/latent_preview.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <tuple>
#include <vector>

#include "worker/families/diffusers_directory.h"
#include "worker/families/tiny_model.h"
#include "worker/generation/tensor_image.h"
#include "worker/generation/text_to_image.h"

namespace likeness {
namespace {

// A picture whose left half is of one colour, and whose right half of another.
torch::Tensor TwoColours(int64_t side) {
  auto image_13HW = torch::empty({1, 3, side, side});
  image_13HW.slice(3, 0, side / 2) = torch::tensor({0.8, -0.4, -0.6}).view({1, 3, 1, 1});
  image_13HW.slice(3, side / 2) = torch::tensor({-0.5, 0.1, 0.7}).view({1, 3, 1, 1});
  return image_13HW;
}

TEST(LatentPreviewTest, ThePreviewOfAPicturesLatentsHasItsColours) {
  const auto model = LoadModel(LIKENESS_MINIATURE);
  const LatentPreview preview(*model);
  const auto image_13HW = TwoColours(model->image_size());
  const auto latents = model->ToLatents(image_13HW).mean_BChw * model->latent_scale();
  const auto drawn = preview.Draw(latents);
  ASSERT_EQ(drawn.size(), 1);
  const int side = static_cast<int>(model->latent_size());
  EXPECT_EQ(drawn[0].width, side);
  EXPECT_EQ(drawn[0].height, side);
  const auto wanted = TensorToImages(torch::nn::functional::adaptive_avg_pool2d(
      image_13HW, torch::nn::functional::AdaptiveAvgPool2dFuncOptions({side, side})))[0];
  double difference = 0;
  for (size_t i = 0; i < wanted.rgb.size(); ++i) {
    difference += std::abs(wanted.rgb[i] - drawn[0].rgb[i]);
  }
  EXPECT_LT(difference / static_cast<double>(wanted.rgb.size()), 20);  // of 255
}

TEST(LatentPreviewTest, TheMapIsTheSameEachTime) {
  const auto model = LoadModel(LIKENESS_MINIATURE);
  const auto latents = torch::ones({2, model->latent_channels(), 3, 5});
  torch::manual_seed(1);
  const auto first = LatentPreview(*model).Draw(latents);
  const auto after = torch::rand({1});
  torch::manual_seed(1);
  EXPECT_TRUE(torch::rand({1}).equal(after));  // no other generator was drawn from
  const auto second = LatentPreview(*model).Draw(latents);
  ASSERT_EQ(first.size(), 2);
  EXPECT_EQ(first[1].width, 5);
  EXPECT_EQ(first[1].height, 3);
  EXPECT_EQ(first[1].rgb, second[1].rgb);
}

TEST(LatentPreviewTest, PreviewsComeEverySoManyStepsAndChangeNoPicture) {
  torch::manual_seed(7);
  StableDiffusion model = TinyModel();
  TextToImageRequest request;
  request.pictures = PicturesOf({.prompt = "a dog"}, 3);
  request.batch_size = 2;
  request.sampler = "dpm2";  // two evaluations a step
  request.steps = 6;
  using Shown = std::vector<std::tuple<int, size_t, int64_t>>;
  Shown shown;
  GenerationPreviews previews{.every_steps = 2,
                              .show = [&](int step, size_t first, const torch::Tensor& clean_BChw) {
                                shown.emplace_back(step, first, clean_BChw.size(0));
                              }};
  const auto with = GenerateImages(model, request, {}, previews);
  EXPECT_EQ(shown, (Shown{{2, 0, 2}, {4, 0, 2}, {2, 2, 1}, {4, 2, 1}}));
  const auto without = GenerateImages(model, request);
  for (size_t i = 0; i < with.size(); ++i) EXPECT_EQ(with[i].rgb, without[i].rgb);
}

}  // namespace
}  // namespace likeness

#include "worker/generation/text_to_image.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <cstdlib>

#include "worker/base/error.h"
#include "worker/families/tiny_model.h"

namespace likeness {
namespace {

using ::testing::HasSubstr;

class TextToImageTest : public ::testing::Test {
 protected:
  TextToImageTest() { torch::manual_seed(7); }

  std::vector<Image> Generate(const TextToImageRequest& request) {
    return GenerateImages(model_, request);
  }
  void ExpectRefused(const TextToImageRequest& request, const std::string& message) {
    try {
      Generate(request);
      ADD_FAILURE() << "not refused: " << message;
    } catch (const Error& e) {
      EXPECT_EQ(e.kind(), ErrorKind::kInvalidArgument);
      EXPECT_THAT(e.what(), HasSubstr(message));
    }
  }

  StableDiffusion model_ = [] {
    torch::manual_seed(7);
    return TinyModel();
  }();
  const TextToImageRequest request_{.prompt = "a dog", .seed = 5, .steps = 3};
};

// Batches change the order in which floats are added up, and so at most the last bit of a picture.
void ExpectAlmostEqual(const Image& a, const Image& b) {
  ASSERT_EQ(a.rgb.size(), b.rgb.size());
  int most = 0;
  for (size_t i = 0; i < a.rgb.size(); ++i) most = std::max(most, std::abs(a.rgb[i] - b.rgb[i]));
  EXPECT_LE(most, 1);
}

TEST_F(TextToImageTest, PicturesHaveTheModelsSizeOrTheOneAskedFor) {
  auto image = Generate(request_).at(0);
  EXPECT_EQ(image.width, 16);
  EXPECT_EQ(image.height, 16);
  auto request = request_;
  request.width = 24;
  request.height = 12;
  image = Generate(request).at(0);
  EXPECT_EQ(image.width, 24);
  EXPECT_EQ(image.height, 12);
}

TEST_F(TextToImageTest, TheSameRequestDrawsTheSamePicture) {
  EXPECT_EQ(Generate(request_).at(0).rgb, Generate(request_).at(0).rgb);
}

TEST_F(TextToImageTest, APictureDependsOnItsOwnSeedAlone) {
  auto request = request_;
  request.images = 5;
  for (int batch_size : {1, 2, 5}) {
    request.batch_size = batch_size;
    const auto images = Generate(request);
    ASSERT_EQ(images.size(), 5u);
    for (uint32_t i = 0; i < 5; ++i) {
      auto alone = request_;
      alone.seed = request.seed + i;
      ExpectAlmostEqual(images[i], Generate(alone).at(0));
    }
  }
}

TEST_F(TextToImageTest, PromptSeedSamplerAndGuidanceMatter) {
  const auto image = Generate(request_).at(0).rgb;
  auto with = [&](auto change) {
    auto request = request_;
    change(request);
    return Generate(request).at(0).rgb;
  };
  EXPECT_NE(image, with([](auto& r) { r.prompt = "a cat"; }));
  EXPECT_NE(image, with([](auto& r) { r.seed = 6; }));
  EXPECT_NE(image, with([](auto& r) { r.sampler = "dpmpp_2m"; }));
  EXPECT_NE(image, with([](auto& r) { r.guidance = 1; }));
  EXPECT_NE(image, with([](auto& r) { r.negative_prompt = "red"; }));
}

// The checkpoint's own sampler draws where none is asked for, as the file's settings say.
TEST_F(TextToImageTest, TheCheckpointsSamplerIsTheDefault) {
  auto request = request_;
  request.sampler = "heun_karras";
  const auto asked = Generate(request).at(0).rgb;
  const ModelSource source{.scheduler_config =
                               R"({"_class_name": "HeunDiscreteScheduler", "beta_start": 0.00085,
      "beta_end": 0.012, "beta_schedule": "scaled_linear", "use_karras_sigmas": true})"};
  StableDiffusion own(model_.parts(), model_.schedule(), source);
  EXPECT_EQ(GenerateImages(own, request_).at(0).rgb, asked);
}

TEST_F(TextToImageTest, StochasticPicturesDependOnTheirOwnSeedAloneToo) {
  for (const char* sampler : {"euler_ancestral", "dpmpp_sde", "lcm"}) {
    auto request = request_;
    request.sampler = sampler;
    request.images = 3;
    request.batch_size = 2;
    const auto images = Generate(request);
    auto alone = request;
    alone.images = 1;
    alone.seed = request.seed + 1;
    ExpectAlmostEqual(images[1], Generate(alone).at(0));
    EXPECT_NE(images[0].rgb, images[1].rgb);
  }
}

TEST_F(TextToImageTest, SeedZeroIsASeedAndTheLastOneWrapsAround) {
  auto zero = request_;
  zero.seed = 0;
  const auto first = Generate(zero).at(0);
  EXPECT_EQ(first.rgb, Generate(zero).at(0).rgb);
  auto last = request_;
  last.seed = 0xFFFFFFFF;
  last.images = 2;
  ExpectAlmostEqual(Generate(last).at(1), first);
}

TEST_F(TextToImageTest, OddPromptsAreDrawn) {
  for (std::string prompt : {std::string(), std::string(10'000, 'x'),
                             std::string("\U0001F436 \x01\x7f"), std::string("a\0b", 3)}) {
    auto request = request_;
    request.prompt = prompt;
    request.steps = 1;
    EXPECT_EQ(Generate(request).size(), 1u);
  }
}

TEST_F(TextToImageTest, BadRequestsAreRefusedByField) {
  auto refused = [&](auto change, const std::string& message) {
    auto request = request_;
    change(request);
    ExpectRefused(request, message);
  };
  refused([](auto& r) { r.steps = 0; }, "steps is 0");
  refused([](auto& r) { r.steps = -1; }, "steps is -1");
  refused([](auto& r) { r.steps = 1'000'000'000; }, "steps is 1000000000");
  refused([](auto& r) { r.guidance = std::nan(""); }, "guidance is nan");
  refused([](auto& r) { r.guidance = INFINITY; }, "guidance is inf");
  refused([](auto& r) { r.guidance_rescale = 2; }, "guidance_rescale is 2");
  refused([](auto& r) { r.eta = -1; }, "eta is -1");
  refused([](auto& r) { r.images = 0; }, "images is 0");
  refused([](auto& r) { r.batch_size = 0; }, "batch_size is 0");
  refused([](auto& r) { r.sampler = "magic"; }, "sampler is \"magic\"");
  refused([](auto& r) { r.width = 17; }, "width is 17; allowed: 0 or a multiple of 2 up to 4096");
  refused([](auto& r) { r.height = -2; }, "height is -2");
  refused([](auto& r) { r.width = 1'000'000; }, "width is 1000000");
  refused([](auto& r) { r.prompt = "\xff"; }, "not UTF-8");
}

TEST_F(TextToImageTest, ProgressCountsAllStepsAndCanStop) {
  auto request = request_;
  request.images = 3;
  request.batch_size = 2;
  std::vector<std::pair<int, int>> seen;
  GenerateImages(model_, request, [&](int step, int total) {
    seen.emplace_back(step, total);
    return true;
  });
  ASSERT_EQ(seen.size(), 8u) << "6 steps, and before each batch is decoded";
  EXPECT_EQ(seen.front(), std::pair(1, 6));
  EXPECT_EQ(seen.back(), std::pair(6, 6));
  try {
    GenerateImages(model_, request, [](int step, int) { return step < 2; });
    FAIL();
  } catch (const Error& e) {
    EXPECT_EQ(e.kind(), ErrorKind::kCancelled);
  }
}

TEST_F(TextToImageTest, AModelThatHasDivergedIsReported) {
  torch::NoGradGuard no_grad;
  for (auto& parameter : model_.parts().unet->parameters()) parameter.fill_(NAN);
  try {
    Generate(request_);
    FAIL();
  } catch (const Error& e) {
    EXPECT_EQ(e.kind(), ErrorKind::kFailedPrecondition);
  }
}

TEST_F(TextToImageTest, PromptsAreEncodedOneByOneAsTogether) {
  auto together = model_.Encode({"a dog", ""}, {16, 16}).context_NSD;
  EXPECT_EQ(together.sizes(), at::IntArrayRef({2, 12, 16}));
  EXPECT_TRUE(
      torch::allclose(together[1], model_.Encode({""}, {16, 16}).context_NSD[0], 1e-4, 1e-5));
}

}  // namespace
}  // namespace likeness

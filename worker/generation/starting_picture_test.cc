#include "worker/generation/starting_picture.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <cstdlib>
#include <utility>

#include "worker/base/error.h"
#include "worker/families/tiny_model.h"

namespace likeness {
namespace {

using ::testing::HasSubstr;

TEST(StepsLeftOutTest, TheStrengthIsTheShareThatIsDone) {
  EXPECT_EQ(StepsLeftOut(50, 0.8), 10);
  EXPECT_EQ(StepsLeftOut(50, 1), 0);
  EXPECT_EQ(StepsLeftOut(20, 0.35), 13);
  EXPECT_EQ(StepsLeftOut(10, 0.19), 9);
  for (int steps = 1; steps <= 200; ++steps) {
    EXPECT_EQ(StepsLeftOut(steps, 1.0 / steps), steps - 1) << steps;
  }
}

TEST(StepsLeftOutTest, OneStepIsDoneAtLeast) {
  const auto refused = [](int steps, double strength, const std::string& says) {
    try {
      StepsLeftOut(steps, strength);
      ADD_FAILURE() << strength << " is not refused";
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), ErrorKind::kInvalidArgument);
      EXPECT_THAT(error.what(), HasSubstr(says));
    }
  };
  refused(10, 0.09, "leaves none of 10 steps; allowed: 0.1");
  refused(10, 0, "above 0, at most 1");
  refused(20, 0.01, "strength is 0.01, which leaves none of 20 steps; allowed: 0.05 or more");
  refused(10, 1.1, "strength is 1.1;");
  refused(10, std::nan(""), "strength is nan");
}

class ImageToImageTest : public testing::Test {
 protected:
  // Grey that rises from left to right.
  static Image Ramp(int side) {
    Image image{.width = side, .height = side, .rgb = {}};
    for (int i = 0; i < side * side; ++i) {
      image.rgb.insert(image.rgb.end(), 3, static_cast<uint8_t>(i % side * 255 / side));
    }
    return image;
  }
  // The left half is black, the right one white.
  static Image RightHalf(int side) {
    Image image = Ramp(side);
    for (auto& value : image.rgb) value = value < 128 ? 0 : 255;
    return image;
  }
  std::vector<Image> Draw(const std::optional<ImageToImage>& from, int images = 1,
                          const std::string& sampler = "ddim") {
    TextToImageRequest request{.pictures = PicturesOf({.prompt = "a dog", .seed = 5}, images)};
    request.sampler = sampler;
    request.steps = 10;
    request.from = from;
    return GenerateImages(model_, request);
  }
  static double Distance(const Image& a, const Image& b, int from_column, int to_column) {
    double sum = 0;
    for (int y = 0; y < a.height; ++y) {
      for (int x = from_column; x < to_column; ++x) {
        for (int c = 0; c < 3; ++c) {
          const size_t at = static_cast<size_t>((y * a.width + x) * 3 + c);
          sum += std::abs(a.rgb[at] - b.rgb[at]);
        }
      }
    }
    return sum / (a.height * (to_column - from_column) * 3);
  }

  StableDiffusion model_ = [] {
    torch::manual_seed(7);
    return TinyModel();
  }();
};

TEST_F(ImageToImageTest, TheLessStrengthTheNearerToTheImage) {
  // What the autoencoder alone makes of it.
  const auto nearest = Draw(ImageToImage{.image = Ramp(16), .strength = 0.1})[0];
  const auto near = Draw(ImageToImage{.image = Ramp(16), .strength = 0.3})[0];
  const auto far = Draw(ImageToImage{.image = Ramp(16), .strength = 1})[0];
  EXPECT_LT(Distance(nearest, near, 0, 16), Distance(nearest, far, 0, 16));
}

TEST_F(ImageToImageTest, WhatIsBlackInTheMaskStays) {
  for (const char* sampler : {"ddim", "euler", "heun", "dpmpp_2m", "plms", "unipc"}) {
    const ImageToImage all{.image = Ramp(16), .strength = 0.9};
    ImageToImage part = all;
    part.mask = RightHalf(16);
    const auto whole = Draw(all, 1, sampler)[0], masked = Draw(part, 1, sampler)[0];
    // The latents' own picture: what stays is nearer to it than what is drawn.
    const auto same = Draw(ImageToImage{.image = Ramp(16), .strength = 0.1}, 1, sampler)[0];
    EXPECT_LT(Distance(masked, same, 0, 6), Distance(whole, same, 0, 6)) << sampler;
    EXPECT_GT(Distance(masked, same, 10, 16), Distance(masked, same, 0, 6)) << sampler;
  }
}

TEST_F(ImageToImageTest, APictureDependsOnItsOwnSeedAlone) {
  for (const char* sampler : {"ddim", "euler_ancestral"}) {
    ImageToImage from{.image = Ramp(16), .mask = RightHalf(16), .strength = 0.6};
    const auto images = Draw(from, 3, sampler);
    TextToImageRequest alone{.pictures = {{.prompt = "a dog", .seed = 7}}};
    alone.sampler = sampler;
    alone.steps = 10;
    alone.from = from;
    const auto third = GenerateImages(model_, alone)[0];
    EXPECT_LE(Distance(images[2], third, 0, 16), 0.1);
    EXPECT_NE(images[1].rgb, images[2].rgb);
  }
}

TEST_F(ImageToImageTest, ProgressCountsTheStepsThatAreDone) {
  for (const char* sampler : {"ddim", "plms", "pndm", "heun", "dpm2", "lcm"}) {
    TextToImageRequest request{.pictures = {{.prompt = "a dog"}}, .sampler = sampler, .steps = 10};
    request.from = ImageToImage{.image = Ramp(16), .strength = 0.4};
    int done = 0, total = 0;
    GenerateImages(model_, request, [&](int step, int steps) {
      done = step;
      total = steps;
      return true;
    });
    EXPECT_EQ(done, 4) << sampler;
    EXPECT_EQ(total, 4) << sampler;
  }
}

TEST_F(ImageToImageTest, OtherSizesAreRefused) {
  try {
    Draw(ImageToImage{.image = Ramp(24)});
    ADD_FAILURE() << "not refused";
  } catch (const Error& error) {
    EXPECT_THAT(error.what(), HasSubstr("has 24 x 24 px; allowed: 16 x 16 px"));
  }
  try {
    Draw(ImageToImage{.image = Ramp(16), .mask = Ramp(8)});
    ADD_FAILURE() << "not refused";
  } catch (const Error& error) {
    EXPECT_THAT(error.what(), HasSubstr("the mask has 8 x 8 px"));
  }
}

class CountingModel : public StableDiffusion {
 public:
  using StableDiffusion::StableDiffusion;
  explicit CountingModel(StableDiffusion model) : StableDiffusion(std::move(model)) {}
  LatentMoments ToLatents(const torch::Tensor& images_NCHW) override {
    ++encoded;
    return StableDiffusion::ToLatents(images_NCHW);
  }
  int encoded = 0;
};

TEST_F(ImageToImageTest, SeveralRequestsBeginWithAPictureThatIsEncodedOnce) {
  torch::manual_seed(7);
  CountingModel model(TinyModel());
  const ImageToImage from{.image = Ramp(16), .strength = 0.5};
  StartingPicture start(model, from, {16, 16});
  for (const char* prompt : {"a dog", "a cat"}) {
    TextToImageRequest request{.pictures = PicturesOf({.prompt = prompt, .seed = 5}, 2),
                               .steps = 4};
    request.from = from;
    const int before = model.encoded;
    const auto alone = GenerateImages(model, request);
    EXPECT_EQ(model.encoded, before + 1);
    std::vector<Image> together;
    GenerateEachImage(
        model, request, [&](Image image, BatchPlace) { together.push_back(std::move(image)); },
        /*progress=*/{}, /*previews=*/{}, &start);
    EXPECT_EQ(together.at(1).rgb, alone.at(1).rgb);
  }
  EXPECT_EQ(model.encoded, 3);  // twice alone, once together
}

}  // namespace
}  // namespace likeness

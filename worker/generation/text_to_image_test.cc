#include "worker/generation/text_to_image.h"

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

class TextToImageTest : public ::testing::Test {
 protected:
  TextToImageTest() { torch::manual_seed(7); }

  std::vector<Image> Generate(const TextToImageRequest& request) {
    return GenerateImages(model_, request);
  }
  // 3 steps.
  static TextToImageRequest Of(std::vector<PictureRequest> pictures) {
    return {.pictures = std::move(pictures), .steps = 3};
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
  const TextToImageRequest request_ = Of({{.prompt = "a dog", .seed = 5}});
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
  auto request = Of(PicturesOf(request_.pictures[0], 5));
  for (int batch_size : {1, 2, 5}) {
    request.batch_size = batch_size;
    const auto images = Generate(request);
    ASSERT_EQ(images.size(), 5u);
    for (uint32_t i = 0; i < 5; ++i) {
      ExpectAlmostEqual(images[i], Generate(Of({{.prompt = "a dog", .seed = 5 + i}})).at(0));
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
  EXPECT_NE(image, with([](auto& r) { r.pictures[0].prompt = "a cat"; }));
  EXPECT_NE(image, with([](auto& r) { r.pictures[0].seed = 6; }));
  EXPECT_NE(image, with([](auto& r) { r.sampler = "dpmpp_2m"; }));
  EXPECT_NE(image, with([](auto& r) { r.guidance = 1; }));
  EXPECT_NE(image, with([](auto& r) { r.pictures[0].negative_prompt = "red"; }));
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
    request.pictures = PicturesOf({.prompt = "a dog", .seed = 5}, 3);
    request.batch_size = 2;
    const auto images = Generate(request);
    auto alone = request;
    alone.pictures = {request.pictures[1]};
    ExpectAlmostEqual(images[1], Generate(alone).at(0));
    EXPECT_NE(images[0].rgb, images[1].rgb);
  }
}

TEST_F(TextToImageTest, EtaDrawsNoiseAnew) {
  for (const char* sampler : {"ddim", "tcd"}) {
    auto request = request_;
    request.sampler = sampler;
    const auto without = Generate(request).at(0).rgb;
    request.eta = 0.5;
    const auto with = Generate(request).at(0).rgb;
    EXPECT_NE(with, without) << sampler;
    EXPECT_EQ(with, Generate(request).at(0).rgb) << sampler;
  }
}

TEST_F(TextToImageTest, SeedZeroIsASeedAndTheLastOneWrapsAround) {
  const auto zero = Of({{.prompt = "a dog", .seed = 0}});
  const auto first = Generate(zero).at(0);
  EXPECT_EQ(first.rgb, Generate(zero).at(0).rgb);
  const auto last = Of(PicturesOf({.prompt = "a dog", .seed = 0xFFFFFFFF}, 2));
  ExpectAlmostEqual(Generate(last).at(1), first);
}

TEST_F(TextToImageTest, OddPromptsAreDrawn) {
  for (std::string prompt : {std::string(), std::string(10'000, 'x'),
                             std::string("\U0001F436 \x01\x7f"), std::string("a\0b", 3)}) {
    auto request = request_;
    request.pictures[0].prompt = prompt;
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
  refused(
      [](auto& r) {
        r.sampler = "euler";
        r.eta = 0.5;
      },
      "eta is 0.5; the sampler euler has none, these have: ddim, tcd");
  refused([](auto& r) { r.micro_conditioning.emplace(); },
          "micro-conditioning is for models of the Stable Diffusion XL family");
  refused([](auto& r) { r.pictures.clear(); }, "pictures is empty");
  refused([](auto& r) { r.batch_size = 0; }, "batch_size is 0");
  refused([](auto& r) { r.sampler = "magic"; }, "sampler is \"magic\"");
  refused([](auto& r) { r.width = 17; }, "width is 17; allowed: 0 or a multiple of 2 up to 4096");
  refused([](auto& r) { r.height = -2; }, "height is -2");
  refused([](auto& r) { r.width = 1'000'000; }, "width is 1000000");
  refused([](auto& r) { r.pictures[0].prompt = "\xff"; }, "not UTF-8");
}

TEST_F(TextToImageTest, ProgressCountsTheStepsOfEachPictureAndCanStop) {
  auto request = Of(PicturesOf({.prompt = "a dog"}, 3));
  request.batch_size = 2;
  std::vector<std::pair<int, int>> seen;
  GenerateImages(model_, request, [&](int step, int total) {
    seen.emplace_back(step, total);
    return true;
  });
  using Seen = std::vector<std::pair<int, int>>;
  EXPECT_EQ(seen, (Seen{{2, 9}, {4, 9}, {6, 9}, {6, 9}, {7, 9}, {8, 9}, {9, 9}, {9, 9}}))
      << "after each step, and before each batch is decoded";
  std::vector<Image> drawn;
  try {
    GenerateEachImage(
        model_, request, [&](Image image, BatchPlace) { drawn.push_back(std::move(image)); },
        [](int step, int) { return step < 8; });
    FAIL();
  } catch (const Error& e) {
    EXPECT_EQ(e.kind(), ErrorKind::kCancelled);
  }
  EXPECT_EQ(drawn.size(), 2u) << "the batches that were done";
}

// With guidance and without, with samplers that draw noise, and with prompts of their own that
// guidance leads away from.
TEST_F(TextToImageTest, PicturesOfSeveralPromptsShareABatch) {
  const std::vector<PictureRequest> pictures = {
      {.prompt = "a dog", .seed = 5},
      {.prompt = "a cat on the beach", .negative_prompt = "red", .seed = 9},
      {.prompt = "", .seed = 2},
      {.prompt = "a dog", .negative_prompt = "red", .seed = 5}};
  for (const char* sampler : {"ddim", "euler_ancestral", "dpmpp_sde"}) {
    for (const double guidance : {7.5, 1.0}) {
      SCOPED_TRACE(testing::Message() << sampler << ", guidance " << guidance);
      auto request = Of(pictures);
      request.sampler = sampler;
      request.guidance = guidance;
      std::vector<BatchPlace> places;
      std::vector<Image> images;
      GenerateEachImage(model_, request, [&](Image image, BatchPlace place) {
        images.push_back(std::move(image));
        places.push_back(place);
      });
      ASSERT_EQ(images.size(), 4u);
      for (int i = 0; i < 4; ++i) {
        EXPECT_EQ(places[i].size, 4);
        EXPECT_EQ(places[i].position, i);
        request.pictures = {pictures[i]};
        ExpectAlmostEqual(images[i], Generate(request).at(0));
      }
      EXPECT_NE(images[0].rgb, images[1].rgb);
    }
  }
}

// What makes a picture's file enough to draw it again.
TEST_F(TextToImageTest, AtOnePlaceInABatchOfOneSizeAPictureIsTheSameToTheByte) {
  const PictureRequest wanted{.prompt = "a cat on the beach", .negative_prompt = "red", .seed = 9};
  for (const char* sampler : {"ddim", "dpmpp_2m", "dpmpp_sde"}) {
    for (const double guidance : {7.5, 1.0}) {
      for (const int size : {2, 3, 4}) {
        for (int position = 0; position < size; ++position) {
          SCOPED_TRACE(testing::Message() << sampler << ", guidance " << guidance << ", position "
                                          << position << " of " << size);
          std::vector<PictureRequest> others;
          for (int i = 0; i < size; ++i) {
            others.push_back({.prompt = "a blue duck", .seed = 100u + static_cast<uint32_t>(i)});
          }
          others[position] = wanted;
          auto request = Of(others);
          request.sampler = sampler;
          request.guidance = guidance;
          const auto beside_others = Generate(request).at(position).rgb;
          PictureRequest first = wanted;
          first.seed -= static_cast<uint32_t>(position);
          request.pictures = PicturesOf(first, size);  // as `likeness replay` asks for it
          EXPECT_EQ(Generate(request).at(position).rgb, beside_others);
        }
      }
    }
  }
}

class CountingEncoder : public StableDiffusion {
 public:
  explicit CountingEncoder(StableDiffusion model) : StableDiffusion(std::move(model)) {}
  Conditioning Encode(const std::vector<Prompt>& prompts, Geometry geometry,
                      const TextOptions& options = {}) override {
    for (const Prompt& prompt : prompts) encoded.push_back(prompt.value_or("none"));
    return StableDiffusion::Encode(prompts, geometry, options);
  }
  std::vector<std::string> encoded;
};

TEST_F(TextToImageTest, EachPromptIsEncodedOnce) {
  CountingEncoder model(model_);
  auto request = Of({{.prompt = "a dog"}, {.prompt = "a cat"}, {.prompt = "a dog"}});
  request.batch_size = 1;
  GenerateImages(model, request);
  EXPECT_EQ(model.encoded, (std::vector<std::string>{"a dog", "none", "a cat"}));
}

TEST_F(TextToImageTest, PromptsOfUnlikeLengthShareNoBatch) {
  std::string longer = "a dog";
  for (int i = 0; i < 30; ++i) longer += " dog";
  auto request = Of({{.prompt = "a dog", .seed = 5},
                     {.prompt = longer, .seed = 6},
                     {.prompt = longer, .seed = 7},
                     {.prompt = "a cat", .seed = 8}});
  request.long_prompts = true;
  std::vector<std::pair<int, int>> places;
  std::vector<Image> images;
  GenerateEachImage(model_, request, [&](Image image, BatchPlace place) {
    places.emplace_back(place.size, place.position);
    images.push_back(std::move(image));
  });
  using Places = std::vector<std::pair<int, int>>;
  EXPECT_EQ(places, (Places{{1, 0}, {2, 0}, {2, 1}, {1, 0}}));
  auto alone = request;
  alone.pictures = {request.pictures[3]};
  EXPECT_EQ(images.at(3).rgb, Generate(alone).at(0).rgb);
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

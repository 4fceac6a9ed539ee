#include "worker/diffusion/denoiser.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "worker/base/error.h"
#include "worker/diffusion/sampler_settings.h"

namespace likeness {
namespace {

constexpr int64_t kPictures = 2;

// What a model is told about each of the pictures x, or of their two halves: 3 as the condition,
// 1 without one. [N,1,1,1].
torch::Tensor ToldAbout(const torch::Tensor& x) {
  const auto told = torch::full({x.size(0), 1, 1, 1}, 3.0f);
  if (x.size(0) > kPictures) told.slice(0, 0, kPictures).fill_(1);
  return told;
}

// Predicts what it is told, and counts its calls.
struct ConstantModel {
  int* calls;
  torch::Tensor operator()(const torch::Tensor& x, const torch::Tensor&) const {
    ++*calls;
    return torch::ones_like(x) * ToldAbout(x);
  }
};

constexpr Level kLevel{.t = 500, .a = 0.28};

TEST(DenoiserTest, GuidanceLeadsAwayFromTheUnconditional) {
  int calls = 0;
  const Denoiser denoiser(ConstantModel{&calls}, PredictionType::kEpsilon, {.scale = 7.5});
  auto eps = denoiser(torch::zeros({2, 4, 2, 2}), kLevel).eps_BCHW;
  EXPECT_TRUE(torch::allclose(eps, torch::full_like(eps, 1 + 7.5 * (3 - 1))));
  EXPECT_EQ(calls, 1) << "both halves go through the model in one forward";
}

TEST(DenoiserTest, GuidanceOfOneOrLessIsTheConditionAlone) {
  int calls = 0;
  for (double guidance : {1.0, 0.0, -3.0}) {
    const Denoiser denoiser(ConstantModel{&calls}, PredictionType::kEpsilon, {.scale = guidance});
    auto eps = denoiser(torch::zeros({2, 4, 2, 2}), kLevel).eps_BCHW;
    EXPECT_TRUE(torch::allclose(eps, torch::full_like(eps, 3)));
  }
}

TEST(DenoiserTest, GuidanceThatIsNotANumberIsRefused) {
  int calls = 0;
  for (double guidance : {std::nan(""), std::numeric_limits<double>::infinity()}) {
    EXPECT_THROW(Denoiser(ConstantModel{&calls}, PredictionType::kEpsilon, {.scale = guidance}),
                 Error);
  }
}

// Whatever a model predicts, a perfect one gives back the noise and the picture that x was made of.
TEST(DenoiserTest, APerfectPredictionIsTakenApartExactly) {
  for (auto type : {PredictionType::kEpsilon, PredictionType::kV, PredictionType::kSample}) {
    const NoiseSchedule schedule({.prediction_type = type});
    torch::manual_seed(1);
    auto x0 = torch::randn({1, 4, 2, 2}), noise = torch::randn({1, 4, 2, 2});
    auto t = torch::tensor({700}, torch::kInt64);
    auto x = schedule.AddNoise(x0, noise, t);
    const Denoiser denoiser({}, type, {.scale = 1});
    auto prediction = denoiser.Read(schedule.Target(x0, noise, t), x, schedule.LevelAt(700));
    EXPECT_TRUE(torch::allclose(prediction.x0_BCHW, x0, 1e-4, 1e-5));
    EXPECT_TRUE(torch::allclose(prediction.eps_BCHW, noise, 1e-4, 1e-5));
  }
}

// Predicts what it is told times the noise that x is taken for: spreads as far as the number.
torch::Tensor SpreadModel(const torch::Tensor& x, const torch::Tensor&) { return x * ToldAbout(x); }

TEST(DenoiserTest, RescaledGuidanceSpreadsAsTheConditionDoes) {
  const auto x = torch::randn({2, 4, 8, 8});
  const auto spread = [&](double rescale) {
    const Denoiser denoiser(SpreadModel, PredictionType::kEpsilon,
                            {.scale = 5, .rescale = rescale});
    return (denoiser(x, kLevel).eps_BCHW.std() / x.std()).item<double>();
  };
  EXPECT_NEAR(spread(0), 1 + 5 * (3 - 1), 1e-4);
  EXPECT_NEAR(spread(1), 3, 1e-4);
  EXPECT_NEAR(spread(0.5), (3 + 11) / 2.0, 1e-4);
}

TEST(DenoiserTest, ARescaleBeyondOneIsRefused) {
  for (double rescale : {-0.1, 1.5, std::nan("")}) {
    EXPECT_THROW(Denoiser(SpreadModel, PredictionType::kEpsilon, {.scale = 5, .rescale = rescale}),
                 Error);
  }
}

TEST(DenoiserTest, ThresholdedPicturesKeepWithinOneEachByItself) {
  const Denoiser denoiser({}, PredictionType::kSample, {.scale = 1},
                          {.thresholding = Thresholding{.ratio = 0.9, .max_value = 4}});
  auto x0 = torch::linspace(-1, 1, 100).view({1, 1, 10, 10}).repeat({2, 1, 1, 1});
  x0[1] *= 10;
  const auto cut = denoiser.Read(x0, x0, kLevel).x0_BCHW;
  EXPECT_TRUE(torch::equal(cut[0], x0[0])) << "what lies within 1 is left alone";
  EXPECT_NEAR(cut[1].abs().max().item<float>(), 1, 1e-6);
  EXPECT_NEAR(cut[1][0][5][5].item<float>(), x0[1][0][5][5].item<float>() / 4, 1e-6);
}

}  // namespace
}  // namespace likeness

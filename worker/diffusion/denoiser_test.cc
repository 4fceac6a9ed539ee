#include "worker/diffusion/denoiser.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "worker/base/error.h"

namespace likeness {
namespace {

// Predicts the context's first number everywhere, and counts its calls.
struct ConstantModel {
  int* calls;
  torch::Tensor operator()(const torch::Tensor& x, const torch::Tensor&,
                           const torch::Tensor& context) const {
    ++*calls;
    return torch::ones_like(x) * context.select(1, 0).select(1, 0).view({-1, 1, 1, 1});
  }
};

constexpr Span kSpan{.t = 500, .a = 0.28, .a_next = 0.3};

torch::Tensor Context(float value) { return torch::full({2, 3, 4}, value); }

TEST(DenoiserTest, GuidanceLeadsAwayFromTheUnconditional) {
  int calls = 0;
  const Denoiser denoiser(ConstantModel{&calls}, PredictionType::kEpsilon, Context(3), Context(1),
                          7.5);
  auto eps = denoiser(torch::zeros({2, 4, 2, 2}), kSpan).eps_BCHW;
  EXPECT_TRUE(torch::allclose(eps, torch::full_like(eps, 1 + 7.5 * (3 - 1))));
  EXPECT_EQ(calls, 1) << "both halves go through the model in one forward";
}

TEST(DenoiserTest, GuidanceOfOneOrLessIsTheConditionAlone) {
  int calls = 0;
  for (double guidance : {1.0, 0.0, -3.0}) {
    const Denoiser denoiser(ConstantModel{&calls}, PredictionType::kEpsilon, Context(3), {},
                            guidance);
    auto eps = denoiser(torch::zeros({2, 4, 2, 2}), kSpan).eps_BCHW;
    EXPECT_TRUE(torch::allclose(eps, torch::full_like(eps, 3)));
  }
}

TEST(DenoiserTest, GuidanceThatIsNotANumberIsRefused) {
  int calls = 0;
  for (double guidance : {std::nan(""), std::numeric_limits<double>::infinity()}) {
    EXPECT_THROW(
        Denoiser(ConstantModel{&calls}, PredictionType::kEpsilon, Context(3), Context(1), guidance),
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
    auto prediction =
        ToPrediction(schedule.Target(x0, noise, t), x, schedule.AlphaCumprod(700), type);
    EXPECT_TRUE(torch::allclose(prediction.x0_BCHW, x0, 1e-4, 1e-5));
    EXPECT_TRUE(torch::allclose(prediction.eps_BCHW, noise, 1e-4, 1e-5));
  }
}

}  // namespace
}  // namespace likeness

#include "worker/training/loss.h"

#include <gtest/gtest.h>

namespace likeness {
namespace {

constexpr auto kEpsilon = PredictionType::kEpsilon;

// Samples whose squared errors are 1, 4, 9, 16.
torch::Tensor Errors() {
  return torch::tensor({1.f, 2.f, 3.f, 4.f}).view({4, 1, 1, 1}).expand({4, 4, 2, 2});
}

double Loss(const torch::Tensor& snr_B, const LossOptions& options) {
  const auto prediction = Errors();
  return DreamBoothLoss(prediction, torch::zeros_like(prediction), snr_B, kEpsilon, options)
      .item<double>();
}

TEST(LossTest, TheSubjectIsTheFirstHalfAndThePriorHasItsWeight) {
  EXPECT_DOUBLE_EQ(Loss(torch::ones(4), {.prior_weight = 1}), 2.5 + 12.5);
  EXPECT_DOUBLE_EQ(Loss(torch::ones(4), {.prior_weight = 0.5}), 2.5 + 6.25);
}

TEST(LossTest, WithoutPriorTheWholeBatchIsTheSubject) {
  EXPECT_DOUBLE_EQ(Loss(torch::ones(4), {.prior_weight = 0}), 7.5);
}

// Others computed weights of all 2B timesteps and multiplied them with B losses.
TEST(LossTest, MinSnrWeighsEachSampleByItsOwnTimestep) {
  const auto snr_B = torch::tensor({10.f, 1.f, 50.f, 2.f});  // weights 0.5, 1, 0.1, 1
  EXPECT_NEAR(Loss(snr_B, {.prior_weight = 1, .snr_gamma = 5}),
              (0.5 * 1 + 1 * 4) / 2 + (0.1 * 9 + 1 * 16) / 2, 1e-6);
}

TEST(LossTest, MinSnrWeighsTheDenoisedPictureAlikeInEveryParametrization) {
  const auto snr_B = torch::tensor({0.5f, 20.f});
  const auto sample = MinSnrWeight(snr_B, 5, PredictionType::kSample);
  EXPECT_TRUE(torch::allclose(MinSnrWeight(snr_B, 5, kEpsilon) * snr_B, sample));
  EXPECT_TRUE(torch::allclose(MinSnrWeight(snr_B, 5, PredictionType::kV) * (snr_B + 1), sample));
}

TEST(LossTest, DebiasedWeightsAreOneOverTheRootOfSnr) {
  const auto snr_B = torch::tensor({4.f, 0.25f, 1.f, 100.f});
  EXPECT_NEAR(Loss(snr_B, {.prior_weight = 1, .debiased = true}),
              (0.5 * 1 + 2 * 4) / 2 + (1 * 9 + 0.1 * 16) / 2, 1e-6);
  const auto sample = DebiasedWeight(snr_B, PredictionType::kSample);
  EXPECT_TRUE(torch::allclose(DebiasedWeight(snr_B, kEpsilon) * snr_B, sample));
  EXPECT_TRUE(torch::allclose(DebiasedWeight(snr_B, PredictionType::kV) * (snr_B + 1), sample));
  EXPECT_EQ(DebiasedWeight(torch::zeros(1), kEpsilon).item<float>(), 1);
}

TEST(LossTest, PlacesCountAsMuchAsTheirWeights) {
  auto weights = torch::ones({4, 1, 2, 2});
  weights[0] = 0.25;
  weights[1][0][0] = 0;  // a half of the places
  const auto prediction = Errors().clone().requires_grad_(true);
  const auto loss = DreamBoothLoss(prediction, torch::zeros({4, 4, 2, 2}), torch::ones(4), kEpsilon,
                                   {.prior_weight = 1}, weights);
  EXPECT_NEAR(loss.item<double>(), (0.25 * 1 + 0.5 * 4) / 2 + 12.5, 1e-6);
  loss.backward();
  EXPECT_EQ(prediction.grad()[1].select(1, 0).abs().max().item<float>(), 0);
  EXPECT_GT(prediction.grad()[1].select(1, 1).abs().min().item<float>(), 0);
}

// The last timestep of zero terminal SNR.
TEST(LossTest, MinSnrIsFiniteWithoutAnySignal) {
  const auto snr_B = torch::tensor({0.f});
  EXPECT_EQ(MinSnrWeight(snr_B, 5, kEpsilon).item<float>(), 1);
  EXPECT_EQ(MinSnrWeight(snr_B, 5, PredictionType::kV).item<float>(), 0);
  EXPECT_EQ(MinSnrWeight(snr_B, 5, PredictionType::kSample).item<float>(), 0);
}

TEST(LossTest, IsTakenInFloat32UnderBfloat16) {
  const auto prediction = Errors().to(torch::kBFloat16);
  const auto loss =
      DreamBoothLoss(prediction, torch::zeros({4, 4, 2, 2}), torch::ones(4), kEpsilon, {});
  EXPECT_EQ(loss.scalar_type(), torch::kFloat32);
}

}  // namespace
}  // namespace likeness

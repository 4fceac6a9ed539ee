#include "worker/diffusion/noise_schedule.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "third_party/nlohmann/json.hpp"
#include "worker/base/error.h"

namespace likeness {
namespace {

using ::testing::HasSubstr;

// Golden numbers: diffusers 0.42.1, DDIMScheduler with Stable Diffusion's betas.
TEST(NoiseScheduleTest, CumulatedAlphasAgreeWithDiffusers) {
  const NoiseSchedule schedule;
  EXPECT_FLOAT_EQ(schedule.AlphaCumprod(0), 0.9991499781608582f);
  EXPECT_FLOAT_EQ(schedule.AlphaCumprod(1), 0.9982960224151611f);
  EXPECT_FLOAT_EQ(schedule.AlphaCumprod(500), 0.27633246779441833f);
  EXPECT_FLOAT_EQ(schedule.AlphaCumprod(999), 0.00466009508818388f);
}

TEST(NoiseScheduleTest, EachSampleIsNoisedAtItsOwnTimestep) {
  const NoiseSchedule schedule;
  auto x0 = torch::ones({2, 4, 2, 2}), noise = torch::zeros({2, 4, 2, 2});
  auto x = schedule.AddNoise(x0, noise, torch::tensor({0, 999}, torch::kInt64));
  EXPECT_FLOAT_EQ(x[0][0][0][0].item<float>(), std::sqrt(0.99915f));
  EXPECT_NEAR(x[1][3][1][1].item<float>(), std::sqrt(0.0046601f), 1e-5);
}

TEST(NoiseScheduleTest, SnrIsSignalOverNoise) {
  const NoiseSchedule schedule;
  auto snr = schedule.Snr(torch::tensor({500}, torch::kInt64));
  EXPECT_NEAR(snr.item<float>(), 0.276332 / (1 - 0.276332), 1e-4);
}

TEST(NoiseScheduleTest, NoisyLatentsKeepTheirType) {
  const NoiseSchedule schedule;
  auto x0 = torch::ones({1, 4, 2, 2}, torch::kBFloat16);
  auto t = torch::tensor({10}, torch::kInt64);
  EXPECT_EQ(schedule.AddNoise(x0, x0, t).scalar_type(), torch::kBFloat16);
}

TEST(NoiseScheduleOptionsTest, ReadsBackWhatItWrites) {
  const NoiseScheduleOptions options{.num_train_timesteps = 500,
                                     .beta_start = 0.001,
                                     .beta_end = 0.01,
                                     .beta_schedule = "linear",
                                     .prediction_type = PredictionType::kV,
                                     .rescale_betas_zero_snr = true};
  const auto json = options.ToJson();
  EXPECT_EQ(NoiseScheduleOptions::FromJson(json).ToJson(), json);
}

// The file of Stable Diffusion 1.5, which was written for another sampler.
TEST(NoiseScheduleOptionsTest, ReadsStableDiffusionsOwnFile) {
  const auto options = NoiseScheduleOptions::FromJson(nlohmann::json::parse(R"({
    "_class_name": "PNDMScheduler", "_diffusers_version": "0.6.0", "beta_end": 0.012,
    "beta_schedule": "scaled_linear", "beta_start": 0.00085, "num_train_timesteps": 1000,
    "set_alpha_to_one": false, "skip_prk_steps": true, "steps_offset": 1, "trained_betas": null,
    "clip_sample": false})"));
  EXPECT_EQ(options.ToJson(), NoiseScheduleOptions{}.ToJson());
}

TEST(NoiseScheduleOptionsTest, RefusesWhatItCannotFollowByName) {
  const std::pair<const char*, nlohmann::json> cases[] = {
      {"beta_schedule", "sigmoid"},     {"prediction_type", "flow"},
      {"rescale_betas_zero_snr", true},  // without any signal epsilon says nothing of the picture
      {"beta_start", "0.00085"},        {"num_train_timesteps", 999.5},
      {"a_setting_of_the_future", 3},   {"trained_betas", {0.1, 0.2}},
      {"num_train_timesteps", 0},       {"beta_start", -1.0},
  };
  for (const auto& [setting, value] : cases) {
    auto config = NoiseScheduleOptions{}.ToJson();
    config[setting] = value;
    try {
      NoiseScheduleOptions::FromJson(config);
      ADD_FAILURE() << setting << " was taken";
    } catch (const Error& e) {
      EXPECT_EQ(e.kind(), ErrorKind::kFailedPrecondition);
      EXPECT_THAT(e.what(), HasSubstr(setting));
    }
  }
}

TEST(NoiseScheduleOptionsTest, NamesTheTypeThatANumberMustHave) {
  try {
    NoiseScheduleOptions::FromJson({{"beta_start", "0.00085"}});
    FAIL();
  } catch (const Error& e) {
    EXPECT_STREQ(e.what(),
                 "scheduler: setting beta_start = \"0.00085\" is not of the expected type; it must "
                 "be a number");
  }
}

// Golden numbers: diffusers 0.42.1, DDIMScheduler.
TEST(NoiseScheduleTest, ZeroTerminalSnrAgreesWithDiffusers) {
  const NoiseSchedule schedule(
      {.prediction_type = PredictionType::kV, .rescale_betas_zero_snr = true});
  EXPECT_FLOAT_EQ(schedule.AlphaCumprod(0), 0.9991499781608582f);
  EXPECT_NEAR(schedule.AlphaCumprod(500), 0.24101854860782623f, 1e-6);
  EXPECT_NEAR(schedule.AlphaCumprod(998), 1.9679629303936963e-07f, 1e-9);
  EXPECT_EQ(schedule.AlphaCumprod(999), 0);
}

}  // namespace
}  // namespace likeness

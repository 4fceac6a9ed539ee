#include "worker/diffusion/sampler.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "worker/base/error.h"

namespace likeness {
namespace {

using ::testing::ElementsAre;
using ::testing::FloatNear;
using ::testing::HasSubstr;

// A model that anybody can write down: tanh(x) (0.5 + t / 2000), whatever the context.
torch::Tensor ToyModel(const torch::Tensor& x, const torch::Tensor& t, const torch::Tensor&) {
  return torch::tanh(x) * (0.5 + t.view({-1, 1, 1, 1}) / 2000.0);
}

std::vector<float> SampleToy(const std::string& name, const NoiseScheduleOptions& options) {
  const NoiseSchedule schedule(options);
  const Denoiser denoiser(ToyModel, options.prediction_type, torch::zeros({1, 1, 1}), {}, 1.0);
  auto noise = torch::tensor({1.5f, -0.5f, 0.25f, -2.0f}).view({1, 4, 1, 1});
  auto x = Sample(ParseSampler(name, schedule), denoiser, noise, /*steps=*/10);
  return {x.data_ptr<float>(), x.data_ptr<float>() + x.numel()};
}

std::vector<int64_t> Starts(const std::vector<Span>& spans) {
  std::vector<int64_t> starts;
  for (const Span& span : spans) starts.push_back(span.t);
  return starts;
}

auto Near(float a, float b, float c, float d) {
  const auto near = [](float x) { return FloatNear(x, 1e-5f * std::max(1.0f, std::abs(x))); };
  return ElementsAre(near(a), near(b), near(c), near(d));
}

// Golden numbers: diffusers 0.42.1, DDIMScheduler and DPMSolverMultistepScheduler, 10 steps of the
// toy model.
TEST(SamplerTest, DdimAgreesWithDiffusersInEverySpacing) {
  const auto toy = [](PredictionType type, std::optional<TimestepSpacing> spacing) {
    return SampleToy("ddim", {.prediction_type = type, .timestep_spacing = spacing});
  };
  using enum PredictionType;
  using enum TimestepSpacing;
  const auto leading = Near(5.864196f, -0.6241829f, 0.2567859f, -9.832074f);
  EXPECT_THAT(toy(kEpsilon, std::nullopt), leading);
  EXPECT_THAT(toy(kEpsilon, kLeading), leading);
  EXPECT_THAT(toy(kEpsilon, kLinspace), Near(7.535832f, -0.6655542f, 0.2659075f, -12.91876f));
  EXPECT_THAT(toy(kEpsilon, kTrailing), Near(9.294531f, -0.6763412f, 0.2600283f, -16.12647f));
  EXPECT_THAT(toy(kV, kLeading), Near(0.6050738f, -0.1562393f, 0.07579735f, -0.9334289f));
  EXPECT_THAT(toy(kV, kTrailing), Near(0.5751781f, -0.1475384f, 0.07155465f, -0.8936185f));
  EXPECT_THAT(toy(kSample, kLeading), Near(0.4294118f, -0.2386748f, 0.1347911f, -0.4757727f));
  EXPECT_THAT(toy(kSample, kLinspace), Near(0.6639881f, -0.3454161f, 0.1919723f, -0.756492f));
}

TEST(SamplerTest, DpmSolverAgreesWithDiffusersInEverySpacing) {
  const auto toy = [](PredictionType type, std::optional<TimestepSpacing> spacing) {
    return SampleToy("dpmpp_2m", {.prediction_type = type, .timestep_spacing = spacing});
  };
  using enum PredictionType;
  using enum TimestepSpacing;
  const auto linspace = Near(9.370256f, -0.6784662f, 0.2668967f, -16.27461f);
  EXPECT_THAT(toy(kEpsilon, std::nullopt), linspace) << "the solver's own default";
  EXPECT_THAT(toy(kEpsilon, kLinspace), linspace);
  EXPECT_THAT(toy(kEpsilon, kLeading), Near(5.919672f, -0.6267422f, 0.2614041f, -9.929086f));
  EXPECT_THAT(toy(kEpsilon, kTrailing), Near(9.370537f, -0.67861f, 0.2669822f, -16.27491f));
  EXPECT_THAT(toy(kV, kLinspace), Near(0.6549136f, -0.1724997f, 0.08403189f, -1.008036f));
  EXPECT_THAT(toy(kV, kLeading), Near(0.689977f, -0.1828409f, 0.08909656f, -1.054751f));
  EXPECT_THAT(toy(kSample, kTrailing), Near(0.4237365f, -0.246006f, 0.1411795f, -0.4609318f));
  EXPECT_THAT(toy(kSample, kLeading), Near(0.4107017f, -0.2322806f, 0.131756f, -0.4492637f));
}

TEST(SamplerTest, KarrasLevelsAgreeWithDiffusers) {
  const auto toy = [](PredictionType type) {
    return SampleToy("dpmpp_2m", {.prediction_type = type, .use_karras_sigmas = true});
  };
  EXPECT_THAT(toy(PredictionType::kEpsilon), Near(9.407564f, -0.6939996f, 0.2795788f, -16.3578f));
  EXPECT_THAT(toy(PredictionType::kV), Near(0.7916504f, -0.2199607f, 0.1079256f, -1.190034f));
  EXPECT_THAT(toy(PredictionType::kSample),
              Near(0.1337787f, -0.06902608f, 0.03888233f, -0.1540541f));
  const NoiseSchedule schedule({.use_karras_sigmas = true});
  EXPECT_THAT(Starts(DpmSolver2M(schedule).Spans(5)), ElementsAre(999, 786, 427, 59, 0));
}

// From the last timestep nothing but noise is left: sigma is infinite there.
TEST(SamplerTest, ZeroTerminalSnrAgreesWithDiffusers) {
  const auto toy = [](const char* sampler, PredictionType type, TimestepSpacing spacing) {
    return SampleToy(
        sampler,
        {.prediction_type = type, .rescale_betas_zero_snr = true, .timestep_spacing = spacing});
  };
  using enum PredictionType;
  using enum TimestepSpacing;
  EXPECT_THAT(toy("ddim", kV, kTrailing), Near(0.5403336f, -0.1375914f, 0.06669268f, -0.8454586f));
  EXPECT_THAT(toy("ddim", kSample, kTrailing),
              Near(0.4968534f, -0.2887989f, 0.1664329f, -0.5450087f));
  EXPECT_THAT(toy("dpmpp_2m", kV, kTrailing),
              Near(0.6181208f, -0.161662f, 0.0786922f, -0.9578309f));
  EXPECT_THAT(toy("dpmpp_2m", kSample, kTrailing),
              Near(0.4314533f, -0.2562862f, 0.1487153f, -0.4671796f));
  EXPECT_THAT(toy("ddim", kV, kLeading), Near(0.5709894f, -0.1463567f, 0.07096058f, -0.8868503f));
  EXPECT_THAT(toy("dpmpp_2m", kV, kLeading),
              Near(0.6562469f, -0.1727628f, 0.08413785f, -1.009616f));
}

TEST(SamplerTest, TimestepsAgreeWithDiffusers) {
  const NoiseSchedule schedule;
  EXPECT_THAT(Starts(Ddim(schedule).Spans(5)), ElementsAre(801, 601, 401, 201, 1));
  EXPECT_THAT(Starts(DpmSolver2M(schedule).Spans(5)), ElementsAre(999, 799, 599, 400, 200));
  const NoiseSchedule leading({.timestep_spacing = TimestepSpacing::kLeading});
  EXPECT_THAT(Starts(DpmSolver2M(leading).Spans(4)), ElementsAre(801, 601, 401, 201));
}

TEST(SamplerTest, EveryStepStaysInTheScheduleAndTheLastEndsClean) {
  using enum TimestepSpacing;
  for (const auto spacing : {kLeading, kLinspace, kTrailing}) {
    const NoiseSchedule schedule({.timestep_spacing = spacing});
    for (const auto& name : SamplerNames()) {
      // 487 is among those where numpy.arange gives the reference one timestep too many, -1.
      for (int steps : {1, 2, 20, 333, 487, 500}) {
        const auto spans = Spans(ParseSampler(name, schedule), steps);
        ASSERT_EQ(static_cast<int>(spans.size()), steps);
        EXPECT_EQ(spans.back().a_next, name == "ddim" ? schedule.AlphaCumprod(0) : 1);
        for (const Span& span : spans) {
          EXPECT_GE(span.t, 0) << name << " " << steps;
          EXPECT_LT(span.t, 1000) << name << " " << steps;
          EXPECT_LE(span.a, span.a_next) << name << " " << steps;
        }
      }
    }
  }
}

TEST(SamplerTest, StepsOutsideTheScheduleAreRefused) {
  const NoiseSchedule schedule;
  for (const auto& name : SamplerNames()) {
    for (int steps : {0, -1, 1000, 1001, 1'000'000'000}) {
      try {
        Spans(ParseSampler(name, schedule), steps);
        FAIL() << name << " took " << steps;
      } catch (const Error& e) {
        EXPECT_EQ(e.kind(), ErrorKind::kInvalidArgument);
        EXPECT_THAT(e.what(),
                    HasSubstr("steps is " + std::to_string(steps) + "; allowed: 1 to 99"));
      }
    }
  }
  EXPECT_EQ(Spans(Ddim(schedule), 999).size(), 999u);
  EXPECT_EQ(Spans(DpmSolver2M(schedule), 999).size(), 999u);
}

TEST(SamplerTest, AnUnknownNameIsRefusedWithTheKnownOnes) {
  const NoiseSchedule schedule;
  try {
    ParseSampler("euler", schedule);
    FAIL();
  } catch (const Error& e) {
    EXPECT_EQ(e.kind(), ErrorKind::kInvalidArgument);
    EXPECT_STREQ(e.what(), "sampler is \"euler\"; allowed: ddim, dpmpp_2m");
  }
}

}  // namespace
}  // namespace likeness

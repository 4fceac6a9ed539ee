#include "worker/samplers/sampler.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

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

std::vector<float> SampleToy(const std::string& name, PredictionType type, int steps = 10) {
  const NoiseSchedule schedule({.prediction_type = type});
  const Denoiser denoiser(ToyModel, schedule, torch::zeros({1, 1, 1}), {}, 1.0);
  auto noise = torch::tensor({1.5f, -0.5f, 0.25f, -2.0f}).view({1, 4, 1, 1});
  auto x = Sample(ParseSampler(name, schedule), denoiser, noise, steps);
  return {x.data_ptr<float>(), x.data_ptr<float>() + x.numel()};
}

std::vector<int64_t> Starts(const std::vector<Span>& spans) {
  std::vector<int64_t> starts;
  for (const Span& span : spans) starts.push_back(span.t);
  return starts;
}

auto Near(float a, float b, float c, float d) {
  return ElementsAre(FloatNear(a, 1e-5), FloatNear(b, 1e-5), FloatNear(c, 1e-5),
                     FloatNear(d, 1e-5));
}

// Golden numbers: diffusers 0.42.1, DDIMScheduler and DPMSolverMultistepScheduler, 10 steps of the
// toy model.
TEST(SamplerTest, DdimAgreesWithDiffusers) {
  EXPECT_THAT(SampleToy("ddim", PredictionType::kEpsilon),
              Near(5.864196f, -0.6241829f, 0.2567859f, -9.832074f));
  EXPECT_THAT(SampleToy("ddim", PredictionType::kV),
              Near(0.6050738f, -0.1562393f, 0.07579735f, -0.9334289f));
  EXPECT_THAT(SampleToy("ddim", PredictionType::kSample),
              Near(0.4294118f, -0.2386748f, 0.1347911f, -0.4757727f));
}

TEST(SamplerTest, DpmSolverAgreesWithDiffusers) {
  EXPECT_THAT(SampleToy("dpmpp_2m", PredictionType::kEpsilon),
              Near(5.919672f, -0.6267422f, 0.2614041f, -9.929086f));
  EXPECT_THAT(SampleToy("dpmpp_2m", PredictionType::kV),
              Near(0.689977f, -0.1828409f, 0.08909656f, -1.054751f));
  EXPECT_THAT(SampleToy("dpmpp_2m", PredictionType::kSample),
              Near(0.4107017f, -0.2322806f, 0.131756f, -0.4492637f));
}

TEST(SamplerTest, TimestepsAgreeWithDiffusers) {
  const NoiseSchedule schedule;
  EXPECT_THAT(Starts(Ddim(schedule).Spans(5)), ElementsAre(801, 601, 401, 201, 1));
  EXPECT_THAT(Starts(DpmSolver2M(schedule).Spans(4)), ElementsAre(801, 601, 401, 201));
}

TEST(SamplerTest, TheLastSpanEndsClean) {
  const NoiseSchedule schedule;
  for (const auto& name : SamplerNames()) {
    for (int steps : {1, 2, 20, 333, 500}) {
      const auto spans = Spans(ParseSampler(name, schedule), steps);
      ASSERT_EQ(static_cast<int>(spans.size()), steps);
      EXPECT_EQ(spans.back().t_prev, kCleanTimestep) << name << " " << steps;
      for (const Span& span : spans) EXPECT_LT(span.t, 1000) << name << " " << steps;
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
  EXPECT_EQ(Spans(DpmSolver2M(schedule), 998).size(), 998u);
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

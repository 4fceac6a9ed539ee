#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "third_party/nlohmann/json.hpp"
#include "worker/base/error.h"
#include "worker/diffusion/sampler_table.h"

namespace likeness {
namespace {

using ::testing::ElementsAre;
using ::testing::FloatNear;
using ::testing::HasSubstr;

// A model that anybody can write down: tanh(x) (0.5 + t / 2000).
torch::Tensor ToyModel(const torch::Tensor& x, const torch::Tensor& t) {
  return torch::tanh(x) * (0.5 + t.view({-1, 1, 1, 1}) / 2000.0);
}

// Noise that no sampler of these tests should need.
class NoNoise : public NoiseSource {
  torch::Tensor Draw() override { throw Error(ErrorKind::kInternal, "noise was drawn"); }
  torch::Tensor DrawBetween(double, double) override { return Draw(); }
};

// What a model is trained on, as a file of diffusers' says it.
nlohmann::json File(PredictionType type, std::optional<const char*> spacing,
                    bool zero_snr = false) {
  auto file =
      NoiseScheduleOptions{.prediction_type = type, .rescale_betas_zero_snr = zero_snr}.ToJson();
  if (spacing) file["timestep_spacing"] = *spacing;
  return file;
}

Sampler Named(std::string_view name, const nlohmann::json& file = NoiseScheduleOptions{}.ToJson()) {
  return Sampler(ChooseSampler(file, name));
}

std::vector<float> SampleToy(std::string_view name, const nlohmann::json& file) {
  const Sampler sampler = Named(name, file);
  const Denoiser denoiser(ToyModel, sampler.schedule().options().prediction_type, {.scale = 1});
  auto unit = torch::tensor({1.5f, -0.5f, 0.25f, -2.0f}).view({1, 4, 1, 1});
  NoNoise noise;
  auto x = sampler.Sample(denoiser, unit, noise, /*steps=*/10);
  return {x.data_ptr<float>(), x.data_ptr<float>() + x.numel()};
}

std::vector<double> Starts(const Grid& grid) {
  std::vector<double> starts;
  for (const Level& level : grid.levels) starts.push_back(level.t);
  return starts;
}

auto Near(float a, float b, float c, float d) {
  const auto near = [](float x) { return FloatNear(x, 1e-5f * std::max(1.0f, std::abs(x))); };
  return ElementsAre(near(a), near(b), near(c), near(d));
}

// Golden numbers: diffusers 0.42.1, DDIMScheduler and DPMSolverMultistepScheduler, 10 steps of the
// toy model.
TEST(SamplerTest, DdimAgreesWithDiffusersInEverySpacing) {
  const auto toy = [](PredictionType type, std::optional<const char*> spacing) {
    return SampleToy("ddim", File(type, spacing));
  };
  using enum PredictionType;
  const auto leading = Near(5.864196f, -0.6241829f, 0.2567859f, -9.832074f);
  EXPECT_THAT(toy(kEpsilon, std::nullopt), leading);
  EXPECT_THAT(toy(kEpsilon, "leading"), leading);
  EXPECT_THAT(toy(kEpsilon, "linspace"), Near(7.535832f, -0.6655542f, 0.2659075f, -12.91876f));
  EXPECT_THAT(toy(kEpsilon, "trailing"), Near(9.294531f, -0.6763412f, 0.2600283f, -16.12647f));
  EXPECT_THAT(toy(kV, "leading"), Near(0.6050738f, -0.1562393f, 0.07579735f, -0.9334289f));
  EXPECT_THAT(toy(kV, "trailing"), Near(0.5751781f, -0.1475384f, 0.07155465f, -0.8936185f));
  EXPECT_THAT(toy(kSample, "leading"), Near(0.4294118f, -0.2386748f, 0.1347911f, -0.4757727f));
  EXPECT_THAT(toy(kSample, "linspace"), Near(0.6639881f, -0.3454161f, 0.1919723f, -0.756492f));
}

TEST(SamplerTest, DpmSolverAgreesWithDiffusersInEverySpacing) {
  const auto toy = [](PredictionType type, std::optional<const char*> spacing) {
    return SampleToy("dpmpp_2m", File(type, spacing));
  };
  using enum PredictionType;
  const auto linspace = Near(9.370256f, -0.6784662f, 0.2668967f, -16.27461f);
  EXPECT_THAT(toy(kEpsilon, std::nullopt), linspace) << "the solver's own default";
  EXPECT_THAT(toy(kEpsilon, "linspace"), linspace);
  EXPECT_THAT(toy(kEpsilon, "leading"), Near(5.919672f, -0.6267422f, 0.2614041f, -9.929086f));
  EXPECT_THAT(toy(kEpsilon, "trailing"), Near(9.370537f, -0.67861f, 0.2669822f, -16.27491f));
  EXPECT_THAT(toy(kV, "linspace"), Near(0.6549136f, -0.1724997f, 0.08403189f, -1.008036f));
  EXPECT_THAT(toy(kV, "leading"), Near(0.689977f, -0.1828409f, 0.08909656f, -1.054751f));
  EXPECT_THAT(toy(kSample, "trailing"), Near(0.4237365f, -0.246006f, 0.1411795f, -0.4609318f));
  EXPECT_THAT(toy(kSample, "leading"), Near(0.4107017f, -0.2322806f, 0.131756f, -0.4492637f));
}

TEST(SamplerTest, KarrasLevelsAgreeWithDiffusers) {
  const auto toy = [](PredictionType type) {
    return SampleToy("dpmpp_2m_karras", File(type, std::nullopt));
  };
  EXPECT_THAT(toy(PredictionType::kEpsilon), Near(9.407564f, -0.6939996f, 0.2795788f, -16.3578f));
  EXPECT_THAT(toy(PredictionType::kV), Near(0.7916504f, -0.2199607f, 0.1079256f, -1.190034f));
  EXPECT_THAT(toy(PredictionType::kSample),
              Near(0.1337787f, -0.06902608f, 0.03888233f, -0.1540541f));
  EXPECT_THAT(Starts(Named("dpmpp_2m_karras").GridOf(5)), ElementsAre(999, 786, 427, 59, 0));
}

// From the last timestep nothing but noise is left: sigma is infinite there.
TEST(SamplerTest, ZeroTerminalSnrAgreesWithDiffusers) {
  const auto toy = [](const char* sampler, PredictionType type, const char* spacing) {
    return SampleToy(sampler, File(type, spacing, /*zero_snr=*/true));
  };
  using enum PredictionType;
  EXPECT_THAT(toy("ddim", kV, "trailing"), Near(0.5403336f, -0.1375914f, 0.06669268f, -0.8454586f));
  EXPECT_THAT(toy("ddim", kSample, "trailing"),
              Near(0.4968534f, -0.2887989f, 0.1664329f, -0.5450087f));
  EXPECT_THAT(toy("dpmpp_2m", kV, "trailing"),
              Near(0.6181208f, -0.161662f, 0.0786922f, -0.9578309f));
  EXPECT_THAT(toy("dpmpp_2m", kSample, "trailing"),
              Near(0.4314533f, -0.2562862f, 0.1487153f, -0.4671796f));
  EXPECT_THAT(toy("ddim", kV, "leading"), Near(0.5709894f, -0.1463567f, 0.07096058f, -0.8868503f));
  EXPECT_THAT(toy("dpmpp_2m", kV, "leading"),
              Near(0.6562469f, -0.1727628f, 0.08413785f, -1.009616f));
}

TEST(SamplerTest, TimestepsAgreeWithDiffusers) {
  EXPECT_THAT(Starts(Named("ddim").GridOf(5)), ElementsAre(801, 601, 401, 201, 1));
  EXPECT_THAT(Starts(Named("dpmpp_2m").GridOf(5)), ElementsAre(999, 799, 599, 400, 200));
  EXPECT_THAT(Starts(Named("euler").GridOf(5)), ElementsAre(999, 749.25, 499.5, 249.75, 0));
  EXPECT_THAT(Starts(Named("lcm").GridOf(4)), ElementsAre(999, 759, 499, 259));
  const auto leading = File(PredictionType::kEpsilon, "leading");
  EXPECT_THAT(Starts(Named("dpmpp_2m", leading).GridOf(4)), ElementsAre(801, 601, 401, 201));
}

TEST(SamplerTest, EveryStepStaysInTheScheduleAndLeadsTowardsThePicture) {
  for (const char* spacing : {"leading", "linspace", "trailing"}) {
    for (const SamplerName& name : SamplerNames()) {
      const Sampler sampler = Named(name.name, File(PredictionType::kEpsilon, spacing));
      // 487 is among those where numpy.arange gives the reference one timestep too many, -1.
      for (int steps : {4, 20, 50, 333, 487, 500}) {
        if (steps > 50 && (name.name == "lcm" || name.name == "tcd")) continue;
        const Grid grid = sampler.GridOf(steps);
        ASSERT_EQ(static_cast<int>(grid.levels.size()), steps);
        for (int i = 0; i < steps; ++i) {
          EXPECT_GE(grid.levels[i].t, 0) << name.name << " " << steps;
          EXPECT_LT(grid.levels[i].t, 1000) << name.name << " " << steps;
          EXPECT_LE(grid.levels[i].a, grid.Next(i).a) << name.name << " " << steps;
        }
      }
    }
  }
}

// A model that knows the picture: whatever the path and the noise on it, the picture is what is
// found.
TEST(SamplerTest, APerfectModelsPictureIsFoundByEverySampler) {
  const auto picture = torch::linspace(-1, 1, 64).view({1, 4, 4, 4}).repeat({2, 1, 1, 1});
  const Denoiser denoiser([&](const auto&, const auto&) { return picture; },
                          PredictionType::kSample, {.scale = 1});
  for (const SamplerName& name : SamplerNames()) {
    for (const char* spacing : {"leading", "linspace", "trailing"}) {
      auto file = File(PredictionType::kSample, spacing);
      file["set_alpha_to_one"] = true;
      const Sampler sampler = Named(name.name, file);
      PictureNoise noise({1, 2}, {4, 4, 4}, torch::kCPU);
      int steps_done = 0;
      const auto found = sampler.Sample(denoiser, noise.Draw(), noise, 8, [&] { ++steps_done; });
      // DEIS and TCD stop at the training's least noise, and leave it.
      const double leave = name.name == "deis" || name.name == "tcd" ? 0.15 : 1e-4;
      EXPECT_LT((found - picture).abs().max().item<double>(), leave) << name.name << " " << spacing;
      EXPECT_EQ(steps_done, 8) << name.name;
    }
  }
}

TEST(SamplerTest, StochasticSamplersDrawAPictureTheSameWhateverIsBesideIt) {
  for (const SamplerName& name : SamplerNames()) {
    auto choice = ChooseSampler(NoiseScheduleOptions{}.ToJson(), name.name);
    choice.settings.eta = 0.5;
    const Sampler sampler(std::move(choice));
    const auto draw = [&](std::vector<uint64_t> seeds) {
      const auto count = static_cast<int64_t>(seeds.size());
      const Denoiser denoiser(ToyModel, PredictionType::kEpsilon, {.scale = 1});
      PictureNoise noise(std::move(seeds), {4, 4, 4}, torch::kCPU);
      const auto unit = torch::ones({count, 4, 4, 4});
      return sampler.Sample(denoiser, unit, noise, 6);
    };
    const auto beside = draw({7, 8, 9}), alone = draw({8});
    EXPECT_TRUE(torch::equal(beside[1], alone[0])) << name.name;
    const bool draws = name.stochastic || name.name == "ddim";
    EXPECT_EQ(torch::equal(beside[0], beside[1]), !draws) << name.name;
  }
}

// diffusers' is no number at some numbers of steps, 50 among them: the root of a rounding error
// below 0.
TEST(SamplerTest, DdimWithAllNoiseDrawnAnewIsFiniteAtALevelWithoutSignal) {
  auto choice = ChooseSampler(File(PredictionType::kV, "trailing", /*zero_snr=*/true), "ddim");
  choice.settings.eta = 1;
  const Sampler sampler(std::move(choice));
  for (int steps = 1; steps <= 100; ++steps) {
    const Denoiser denoiser(ToyModel, PredictionType::kV, {.scale = 1});
    PictureNoise noise({7}, {4, 2, 2}, torch::kCPU);
    const auto drawn = sampler.Sample(denoiser, noise.Draw(), noise, steps);
    EXPECT_TRUE(torch::isfinite(drawn).all().item<bool>()) << steps;
  }
}

// Counted over many steps: PNDM's first steps take more, and some samplers' last one takes less.
TEST(SamplerTest, TheTableSaysHowOftenTheModelIsAsked) {
  for (const SamplerName& name : SamplerNames()) {
    int asked = 0;
    const Denoiser denoiser(
        [&](const auto& x, const auto& t) {
          ++asked;
          return ToyModel(x, t);
        },
        PredictionType::kEpsilon, {.scale = 1});
    PictureNoise noise({1}, {4, 2, 2}, torch::kCPU);
    Named(name.name).Sample(denoiser, noise.Draw(), noise, 50);
    EXPECT_EQ((asked + 25) / 50, name.evaluations_per_step) << name.name << " asked " << asked;
  }
}

TEST(SamplerTest, StepsOutsideTheScheduleAreRefused) {
  for (const SamplerName& name : SamplerNames()) {
    const bool distilled = name.name == "lcm" || name.name == "tcd";
    const int most = distilled ? 50 : name.takes_sigma_schedule ? 1000 : 999;
    for (int steps : {0, -1, most + 2, 1'000'000'000}) {
      try {
        Named(name.name).GridOf(steps);
        FAIL() << name.name << " took " << steps;
      } catch (const Error& e) {
        EXPECT_EQ(e.kind(), ErrorKind::kInvalidArgument);
        EXPECT_THAT(e.what(), HasSubstr("steps is " + std::to_string(steps) + "; allowed: "));
      }
    }
  }
  EXPECT_EQ(Named("ddim").GridOf(999).levels.size(), 999u);
  EXPECT_EQ(Named("dpmpp_2m").GridOf(999).levels.size(), 999u);
  EXPECT_THROW(Named("pndm").GridOf(3), Error);
  EXPECT_EQ(Named("plms").GridOf(1).levels.size(), 1u);
}

}  // namespace
}  // namespace likeness

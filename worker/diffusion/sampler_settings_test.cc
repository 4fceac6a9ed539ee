#include "worker/diffusion/sampler_settings.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "third_party/nlohmann/json.hpp"
#include "worker/base/error.h"
#include "worker/diffusion/sampler_table.h"

namespace likeness {
namespace {

using nlohmann::json;
using ::testing::HasSubstr;

SamplerChoice Choose(const char* config, std::string_view asked_for = {}) {
  return ChooseSampler(json::parse(config), asked_for);
}

// The file of Stable Diffusion 1.5.
constexpr char kFile15[] = R"({
    "_class_name": "PNDMScheduler", "_diffusers_version": "0.6.0", "beta_end": 0.012,
    "beta_schedule": "scaled_linear", "beta_start": 0.00085, "num_train_timesteps": 1000,
    "set_alpha_to_one": false, "skip_prk_steps": true, "steps_offset": 1, "trained_betas": null,
    "clip_sample": false})";

// The file of Stable Diffusion XL, as far as it bears on results.
constexpr char kFileXl[] = R"({
    "_class_name": "EulerDiscreteScheduler", "beta_end": 0.012, "beta_schedule": "scaled_linear",
    "beta_start": 0.00085, "clip_sample": false, "interpolation_type": "linear",
    "num_train_timesteps": 1000, "prediction_type": "epsilon", "sample_max_value": 1.0,
    "set_alpha_to_one": false, "skip_prk_steps": true, "steps_offset": 1,
    "timestep_spacing": "leading", "trained_betas": null, "use_karras_sigmas": false})";

TEST(ChooseSamplerTest, TheFilesOwnSamplerIsTheDefault) {
  EXPECT_EQ(Choose(kFile15).name, "plms");
  EXPECT_EQ(Choose(kFileXl).name, "euler");
  EXPECT_EQ(Choose("{}").name, "ddim");
  EXPECT_EQ(Choose(R"({"_class_name": "PNDMScheduler"})").name, "pndm");
  EXPECT_EQ(Choose(R"({"_class_name": "DPMSolverMultistepScheduler"})").name, "dpmpp_2m");
  EXPECT_EQ(Choose(R"({"_class_name": "DPMSolverMultistepScheduler", "use_karras_sigmas": true,
                       "algorithm_type": "sde-dpmsolver++"})")
                .name,
            "dpmpp_2m_sde_karras");
}

TEST(ChooseSamplerTest, TheRequestHasTheFirstWord) {
  EXPECT_EQ(Choose(kFile15, "DPM++ 2M Karras").name, "dpmpp_2m_karras");
  EXPECT_EQ(Choose(R"({"use_exponential_sigmas": true})", "heun_karras").settings.sigmas,
            SigmaSchedule::kKarras);
  EXPECT_EQ(Choose(R"({"use_exponential_sigmas": true})", "heun").settings.sigmas,
            SigmaSchedule::kExponential);
}

TEST(ChooseSamplerTest, WhatAFileDoesNotSayHasTheDefaultOfTheClassAskedFor) {
  using enum TimestepSpacing;
  EXPECT_EQ(Choose(kFile15, "ddim").settings.spacing, kLeading);
  EXPECT_EQ(Choose(kFile15, "dpmpp_2m").settings.spacing, kLinspace);
  EXPECT_EQ(Choose(kFileXl, "dpmpp_2m").settings.spacing, kLeading);
  EXPECT_TRUE(Choose("{}", "ddim").settings.set_alpha_to_one);
  EXPECT_FALSE(Choose("{}", "pndm").settings.set_alpha_to_one);
  EXPECT_EQ(Choose("{}", "heun").schedule.beta_end, 0.012);
  EXPECT_EQ(Choose("{}", "euler").schedule.beta_end, 0.02);
  EXPECT_EQ(Choose("{}", "lcm").schedule.beta_schedule, "scaled_linear");
}

TEST(ChooseSamplerTest, OffsetAndClippingAreTheFilesOrTheClasss) {
  EXPECT_EQ(Choose(kFileXl, "euler").settings.steps_offset, 1);
  EXPECT_EQ(Choose("{}", "euler").settings.steps_offset, 0);
  EXPECT_EQ(Choose(R"({"steps_offset": 3})", "ddim").settings.steps_offset, 3);
  EXPECT_EQ(Choose("{}", "ddim").settings.limits.clip_range, 1.0);
  EXPECT_EQ(Choose("{}", "lcm").settings.limits.clip_range, std::nullopt);
  EXPECT_EQ(Choose(kFileXl, "ddim").settings.limits.clip_range, std::nullopt);
  EXPECT_EQ(Choose(R"({"clip_sample": true})", "euler").settings.limits.clip_range, std::nullopt);
  EXPECT_EQ(Choose(R"({"clip_sample": true, "clip_sample_range": 2.5})", "lcm")
                .settings.limits.clip_range,
            2.5);
}

TEST(ChooseSamplerTest, KeysOfOtherClassesAreDropped) {
  // These would be refused, or change something, in a class that has them.
  constexpr char kOthers[] = R"({"thresholding": true, "use_karras_sigmas": true,
      "timestep_type": "continuous", "rescale_betas_zero_snr": true, "use_flow_sigmas": true,
      "final_sigmas_type": "sigma_min", "predict_x0": false, "lambda_min_clipped": -5.1,
      "prediction_type": "v_prediction"})";
  const auto pndm = Choose(kOthers, "pndm");
  EXPECT_FALSE(pndm.settings.limits.thresholding.has_value());
  EXPECT_EQ(pndm.settings.sigmas, SigmaSchedule::kTimesteps);
  EXPECT_FALSE(pndm.schedule.rescale_betas_zero_snr);
  EXPECT_EQ(pndm.settings.final_sigma, FinalSigma::kZero);
  EXPECT_TRUE(Choose(kOthers, "ddim").schedule.rescale_betas_zero_snr);
  EXPECT_TRUE(Choose(kOthers, "ddim").settings.limits.thresholding.has_value());
}

TEST(ChooseSamplerTest, SolversTakeEachOthersNamesForTheirOwnDefaults) {
  const auto type = [](const char* name, const char* said) {
    return ChooseSampler({{"solver_type", said}}, name).settings.solver_type;
  };
  EXPECT_EQ(type("dpmpp_2m", "heun"), SolverType::kHeun);
  EXPECT_EQ(type("dpmpp_2m", "bh1"), SolverType::kMidpoint);
  EXPECT_EQ(type("unipc", "bh1"), SolverType::kBh1);
  EXPECT_EQ(type("unipc", "heun"), SolverType::kBh2);
  EXPECT_EQ(ChooseSampler({{"variance_type", "fixed_large"}}, "dpmpp_2m").name, "dpmpp_2m");
}

TEST(ChooseSamplerTest, WhatAClassHasAndWeDoNotIsRefusedByName) {
  struct Refused {
    const char* sampler;
    const char* key;
    json value;
  };
  const Refused cases[] = {
      {"ddim", "timestep_spacing", "sideways"},
      {"ddim", "set_alpha_to_one", 1},
      {"ddpm", "variance_type", "learned_range"},
      {"dpmpp_2m", "variance_type", "learned"},
      {"dpmpp_2m", "lambda_min_clipped", -5.1},
      {"dpmpp_2m", "final_sigmas_type", "sigma_max"},
      {"dpmpp_2m", "solver_order", 4},
      {"dpmpp_2m", "use_lu_lambdas", true},
      {"dpmpp_2m", "sample_max_value", 0.5},
      {"euler", "timestep_type", "continuous"},
      {"euler", "interpolation_type", "log_linear"},
      {"euler", "sigma_max", 80.0},
      {"unipc", "use_flow_sigmas", true},
      {"unipc", "predict_x0", false},
      {"unipc", "disable_corrector", {0}},
      {"unipc", "lower_order_final", false},
      {"unipc_karras", "final_sigmas_type", "sigma_min"},
      {"lcm", "original_inference_steps", 2000},
      {"ddim", "a_setting_of_the_future", 3},
  };
  for (const auto& [sampler, key, value] : cases) {
    json config = {{key, value}};
    if (std::string_view(key) == "sample_max_value") config["thresholding"] = true;
    try {
      ChooseSampler(config, sampler);
      ADD_FAILURE() << sampler << " took " << key;
    } catch (const Error& e) {
      EXPECT_EQ(e.kind(), ErrorKind::kFailedPrecondition) << key;
      EXPECT_THAT(e.what(), HasSubstr(key));
    }
  }
  EXPECT_THROW(Choose(R"({"use_karras_sigmas": true, "use_beta_sigmas": true})", "euler"), Error);
}

TEST(ChooseSamplerTest, AFileOfAnUnknownClassNeedsASamplerToBeNamed) {
  constexpr char kFlow[] = R"({"_class_name": "FlowMatchEulerDiscreteScheduler"})";
  EXPECT_EQ(Choose(kFlow, "euler").name, "euler");
  try {
    Choose(kFlow);
    FAIL();
  } catch (const Error& e) {
    EXPECT_EQ(e.kind(), ErrorKind::kFailedPrecondition);
    EXPECT_THAT(e.what(), HasSubstr("FlowMatchEulerDiscreteScheduler"));
  }
}

TEST(ChooseSamplerTest, AnUnknownNameIsRefusedWithTheKnownOnes) {
  try {
    Choose("{}", "magic");
    FAIL();
  } catch (const Error& e) {
    EXPECT_EQ(e.kind(), ErrorKind::kInvalidArgument);
    EXPECT_THAT(e.what(), HasSubstr("sampler is \"magic\"; allowed: ddpm, ddim, "));
  }
}

// As diffusers writes it, with -Infinity read as null.
TEST(ChooseSamplerTest, ReadsAWholeFileOfAnotherSampler) {
  const auto choice = Choose(R"({
    "_class_name": "DPMSolverMultistepScheduler", "_diffusers_version": "0.42.1",
    "algorithm_type": "dpmsolver++", "beta_end": 0.012, "beta_schedule": "scaled_linear",
    "beta_start": 0.00085, "dynamic_thresholding_ratio": 0.995, "euler_at_final": false,
    "final_sigmas_type": "zero", "flow_shift": 1.0, "lambda_min_clipped": null,
    "lower_order_final": true, "num_train_timesteps": 1000, "prediction_type": "epsilon",
    "rescale_betas_zero_snr": false, "sample_max_value": 1.0, "solver_order": 2,
    "solver_type": "midpoint", "steps_offset": 0, "thresholding": false,
    "time_shift_type": "exponential", "timestep_spacing": "linspace", "trained_betas": null,
    "use_beta_sigmas": false, "use_dynamic_shifting": false, "use_exponential_sigmas": false,
    "use_flow_sigmas": false, "use_karras_sigmas": true, "use_lu_lambdas": false,
    "variance_type": null})");
  EXPECT_EQ(choice.name, "dpmpp_2m_karras");
  EXPECT_EQ(choice.schedule.beta_end, 0.012);
}

TEST(SamplerTableTest, EveryNameHasARowAndEveryRowAName) {
  ASSERT_EQ(SamplerTable().size(), SamplerNames().size());
  for (const SamplerName& name : SamplerNames()) {
    const auto& row = RowNamed(name.name);
    EXPECT_EQ(row.Has("use_karras_sigmas"), name.takes_sigma_schedule) << name.name;
  }
}

}  // namespace
}  // namespace likeness

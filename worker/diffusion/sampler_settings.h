// Which sampler draws, and how: the request's word on top of the checkpoint's
// scheduler_config.json.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "common/sampler_names.h"
#include "third_party/nlohmann/json_fwd.hpp"
#include "worker/diffusion/noise_schedule.h"

namespace likeness {

// Which of the training's timesteps a sampler visits: 2305.08891, table 2.
enum class TimestepSpacing { kLeading, kLinspace, kTrailing };

// Where the last step leads. kZero: to the clean picture. kScheduleMin: to the least noise of the
// training's schedule. kGridMin: nowhere from the last level of a sigma schedule, else as
// kScheduleMin.
enum class FinalSigma { kZero, kScheduleMin, kGridMin };

enum class SolverType { kMidpoint, kHeun, kBh1, kBh2 };

// Of DDPM's noise: Ho et al., 2006.11239, section 3.2.
enum class VarianceType { kFixedSmall, kFixedSmallLog, kFixedLarge };

// Saharia et al., 2205.11487, section 2.3: clean latents beyond the given quantile are cut.
struct Thresholding {
  double ratio = 0.995;
  double max_value = 1;
};

// What is done to clean latents that are too large; without either, nothing.
struct SampleLimits {
  std::optional<Thresholding> thresholding = std::nullopt;
  std::optional<double> clip_range =
      std::nullopt;  // cut to [-range, range]; after thresholding none
};

// What scheduler_config.json may say of the samplers. A sampler looks at those alone that its class
// in diffusers has.
struct SamplerSettings {
  TimestepSpacing spacing = TimestepSpacing::kLeading;
  int steps_offset = 0;  // added to every timestep with kLeading
  SigmaSchedule sigmas = SigmaSchedule::kTimesteps;
  FinalSigma final_sigma = FinalSigma::kZero;
  SampleLimits limits = {};
  bool set_alpha_to_one = true;  // the last step goes to a = 1 instead of a_0
  int solver_order = 2;          // 1 to 3
  SolverType solver_type = SolverType::kMidpoint;
  bool lower_order_final = true;  // with fewer than 15 steps
  bool euler_at_final = false;
  bool sde = false;             // "sde-dpmsolver++"
  bool skip_prk_steps = false;  // no Runge-Kutta steps before PNDM's multistep ones
  VarianceType variance = VarianceType::kFixedSmall;
  int original_inference_steps = 50;  // of the distillation of LCM and TCD
  double timestep_scaling = 10;       // of LCM's boundary condition
  double eta = 0;  // share of the noise that is drawn anew: DDIM's eta, TCD's gamma
};

struct SamplerRow;  // sampler_table.h

struct SamplerChoice {
  const SamplerRow* row;
  NoiseScheduleOptions schedule;
  SamplerSettings settings;
  std::string name;  // the canonical one, common/sampler_names.h
};

// The sampler `asked_for`, in any spelling of common/sampler_names.h; where it is empty, the one
// that the file was written for. The file is read as the reference's `from_config` reads it: a key
// that the sampler's class has is followed, a key of another class is dropped, and a key that is
// not there has the default of the class that was asked for. kInvalidArgument for an unknown name;
// kFailedPrecondition, by name, for what a class has and this code does not do.
// docs/decisions/0025 lists the keys.
SamplerChoice ChooseSampler(const nlohmann::json& scheduler_config, std::string_view asked_for);

// kInvalidArgument if it is not within 0 to 1, or above 0 for a sampler that has none.
void SetEta(double eta, SamplerChoice& choice);

}  // namespace likeness

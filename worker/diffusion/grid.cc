#include "worker/diffusion/grid.h"

#include <algorithm>
#include <cmath>
#include <string>

#include "worker/base/error.h"
#include "worker/diffusion/sigma_schedule.h"

namespace likeness {
namespace {

void CheckSteps(int steps, int least, int most) {
  if (steps >= least && steps <= most) return;
  throw Error(ErrorKind::kInvalidArgument,
              "steps is " + std::to_string(steps) + "; allowed: " + std::to_string(least) + " to " +
                  std::to_string(most) + " with this sampler and model");
}

// Timesteps from noisy to clean. std::nearbyint rounds halves to even numbers, as numpy.round does.

// `count` of them evenly from `last` to 0.
std::vector<double> LinspaceTimesteps(int64_t last, int count) {
  const double step = count > 1 ? static_cast<double>(last) / (count - 1) : 0;
  std::vector<double> timesteps;
  for (int k = count - 1; k >= 0; --k) {
    const bool exact = k == count - 1 && count > 1;  // numpy sets the end
    timesteps.push_back(exact ? static_cast<double>(last) : k * step);
  }
  return timesteps;
}

// count - 1, ..., 0, times `stride`, plus the offset.
std::vector<double> LeadingTimesteps(int64_t stride, int count, int offset) {
  std::vector<double> timesteps;
  for (int64_t k = count - 1; k >= 0; --k) {
    timesteps.push_back(static_cast<double>(k * stride + offset));
  }
  return timesteps;
}

// `count` of them evenly from total - 1, ending one stride above -1.
std::vector<double> TrailingTimesteps(int64_t total, int count) {
  const auto first = static_cast<double>(total);
  // numpy.arange takes the difference of its first two numbers, which is not exactly the stride;
  // where a sum lies halfway between two timesteps, that decides.
  const double delta = (first - first / count) - first;
  std::vector<double> timesteps;
  for (int k = 0; k < count; ++k) timesteps.push_back(std::nearbyint(first + k * delta) - 1);
  return timesteps;
}

int OffsetOf(const SamplerSettings& settings) {
  return settings.spacing == TimestepSpacing::kLeading ? settings.steps_offset : 0;
}

std::vector<double> SpacedTimesteps(const NoiseSchedule& schedule, const SamplerSettings& settings,
                                    int steps) {
  const int total = schedule.num_train_timesteps();
  CheckSteps(steps, 1, total - OffsetOf(settings));
  switch (settings.spacing) {
    case TimestepSpacing::kLinspace:
      return LinspaceTimesteps(total - 1, steps);
    case TimestepSpacing::kTrailing:
      return TrailingTimesteps(total, steps);
    case TimestepSpacing::kLeading:
      break;
  }
  return LeadingTimesteps(total / steps, steps, settings.steps_offset);
}

// One more than steps, the clean end left out; "trailing" has no such end.
std::vector<double> SolverTimesteps(const NoiseSchedule& schedule, const SamplerSettings& settings,
                                    int steps) {
  const int total = schedule.num_train_timesteps();
  CheckSteps(steps, 1, total - 1 - OffsetOf(settings));
  if (settings.spacing == TimestepSpacing::kTrailing) return TrailingTimesteps(total, steps);
  auto timesteps = settings.spacing == TimestepSpacing::kLinspace
                       ? LinspaceTimesteps(total - 1, steps + 1)
                       : LeadingTimesteps(total / (steps + 1), steps + 1, settings.steps_offset);
  timesteps.pop_back();
  return timesteps;
}

}  // namespace

Grid TimestepGrid(const NoiseSchedule& schedule, const SamplerSettings& settings, int steps) {
  Grid grid{.levels = {},
            .end = {.t = 0, .a = settings.set_alpha_to_one ? 1.0 : schedule.AlphaCumprod(0)}};
  for (const double t : SpacedTimesteps(schedule, settings, steps)) {
    grid.levels.push_back(schedule.LevelAt(std::llrint(std::nearbyint(t))));
  }
  grid.stride = schedule.num_train_timesteps() / steps;
  return grid;
}

Grid PndmGrid(const NoiseSchedule& schedule, const SamplerSettings& settings, int steps) {
  if (!settings.skip_prk_steps) {
    CheckSteps(steps, 4, schedule.num_train_timesteps() - OffsetOf(settings));
  }
  return TimestepGrid(schedule, settings, steps);
}

Grid SolverGrid(const NoiseSchedule& schedule, const SamplerSettings& settings, int steps) {
  Grid grid{.levels = {}, .end = {.t = 0, .a = 1}};
  const auto timesteps = SolverTimesteps(schedule, settings, steps);
  if (settings.sigmas == SigmaSchedule::kTimesteps) {
    for (const double t : timesteps) {
      grid.levels.push_back(schedule.SolverLevelAt(std::llrint(std::nearbyint(t))));
    }
  } else {
    const int64_t last = schedule.num_train_timesteps() - 1;
    for (const double sigma :
         SpreadSigmas(settings.sigmas, schedule.SolverLevelAt(last).sigma(),
                      schedule.SolverLevelAt(0).sigma(), static_cast<int>(timesteps.size()))) {
      const double t = schedule.TimestepOfSigma(sigma);
      // The reference rounds on Karras' schedule, and cuts on others.
      const bool rounds = settings.sigmas == SigmaSchedule::kKarras;
      grid.levels.push_back(
          {.t = rounds ? std::nearbyint(t) : std::trunc(t), .a = LevelOfSigma(sigma)});
    }
  }
  if (settings.final_sigma == FinalSigma::kGridMin &&
      settings.sigmas != SigmaSchedule::kTimesteps) {
    grid.end = grid.levels.back();
  } else if (settings.final_sigma != FinalSigma::kZero) {
    grid.end = schedule.SolverLevelAt(0);
  }
  return grid;
}

Grid DpmSolverGrid(const NoiseSchedule& schedule, const SamplerSettings& settings, int steps) {
  Grid grid = SolverGrid(schedule, settings, steps);
  if (settings.sigmas == SigmaSchedule::kKarras &&
      schedule.options().beta_schedule == "squaredcos_cap_v2") {
    for (Level& level : grid.levels) level.t = std::trunc(schedule.TimestepOfSigma(level.sigma()));
  }
  return grid;
}

Grid SigmaGrid(const NoiseSchedule& schedule, const SamplerSettings& settings, int steps) {
  Grid grid{.levels = {}, .end = {.t = 0, .a = 1}};
  for (const double t : SpacedTimesteps(schedule, settings, steps)) {
    grid.levels.push_back(schedule.InterpolatedLevelAt(static_cast<float>(t)));
  }
  if (settings.sigmas != SigmaSchedule::kTimesteps) {
    const double most = grid.levels.front().sigma(), least = grid.levels.back().sigma();
    grid.levels.clear();
    for (const double sigma : SpreadSigmas(settings.sigmas, most, least, steps)) {
      grid.levels.push_back({.t = schedule.TimestepOfSigma(sigma), .a = LevelOfSigma(sigma)});
    }
  }
  if (settings.final_sigma == FinalSigma::kScheduleMin) grid.end = schedule.SolverLevelAt(0);
  if (settings.spacing != TimestepSpacing::kLeading) grid.noise_scale = grid.levels[0].noise();
  return grid;
}

Grid RoundedSigmaGrid(const NoiseSchedule& schedule, const SamplerSettings& settings, int steps) {
  Grid grid = SigmaGrid(schedule, settings, steps);
  if (settings.sigmas == SigmaSchedule::kKarras) {
    for (Level& level : grid.levels) level.t = std::nearbyint(level.t);
  }
  return grid;
}

Grid DistilledGrid(const NoiseSchedule& schedule, const SamplerSettings& settings, int steps) {
  const int original = settings.original_inference_steps;
  CheckSteps(steps, 1, original);
  const int64_t stride = schedule.num_train_timesteps() / original;
  Grid grid{.levels = {}, .end = {.t = 0, .a = 1}};
  for (int i = 0; i < steps; ++i) {
    const auto skipped = static_cast<int64_t>(i * (static_cast<double>(original) / steps));
    grid.levels.push_back(schedule.LevelAt((original - skipped) * stride - 1));
  }
  return grid;
}

}  // namespace likeness

// The way from noise to a picture: the levels at which a sampler asks the model.
#pragma once

#include <cstdint>
#include <vector>

#include "worker/diffusion/level.h"
#include "worker/diffusion/sampler_settings.h"

namespace likeness {

struct Grid {
  std::vector<Level> levels;  // from noisy to clean, one a step
  Level end;                  // where the last step leads
  int64_t stride = 0;         // whole timesteps between two, where a sampler counts in these
  // What unit noise is multiplied with to be the latents at the first level. 1, though some picture
  // is left there, where the reference starts like that.
  double noise_scale = 1;

  const Level& Next(size_t i) const { return i + 1 < levels.size() ? levels[i + 1] : end; }
};

// Of samplers that step between the training's own timesteps: DDPM, DDIM. `steps` of them.
// All of these throw kInvalidArgument for a number of steps that the schedule does not hold.
Grid TimestepGrid(const NoiseSchedule& schedule, const SamplerSettings& settings, int steps);

// The same for PNDM, which takes its first three steps by Runge and Kutta's method unless the
// settings skip these: 4 steps or more.
Grid PndmGrid(const NoiseSchedule& schedule, const SamplerSettings& settings, int steps);

// Of the exponential integrators (DPM-Solver, UniPC, DEIS): one timestep more than steps, of which
// the clean end is left out. A sigma schedule spans the whole of the training's, and the model is
// told whole timesteps.
Grid SolverGrid(const NoiseSchedule& schedule, const SamplerSettings& settings, int steps);

// The same for DPM-Solver, where the reference cuts on Karras' schedule too if the betas are a
// cosine's.
Grid DpmSolverGrid(const NoiseSchedule& schedule, const SamplerSettings& settings, int steps);

// Of Karras et al.'s samplers: `steps` levels, timesteps between two where the spacing says so, and
// a clean end. A sigma schedule spans the levels that the spacing gives.
Grid SigmaGrid(const NoiseSchedule& schedule, const SamplerSettings& settings, int steps);
// The same, with whole timesteps on Karras' schedule: the reference's KDPM2 samplers round them.
Grid RoundedSigmaGrid(const NoiseSchedule& schedule, const SamplerSettings& settings, int steps);

// Of distilled models (LCM, TCD): steps out of those of the distillation.
Grid DistilledGrid(const NoiseSchedule& schedule, const SamplerSettings& settings, int steps);

}  // namespace likeness

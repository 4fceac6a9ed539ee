// The samplers. A new one is a file in samplers/, a row in sampler_table.cc and a name in
// common/sampler_names.cc.
#pragma once

#include <torch/torch.h>

#include <functional>
#include <span>
#include <string_view>
#include <vector>

#include "worker/diffusion/denoiser.h"
#include "worker/diffusion/grid.h"
#include "worker/diffusion/noise_source.h"
#include "worker/diffusion/sampler_settings.h"

namespace likeness {

// What a sampler goes on with instead of x_BCHW at `level`: a part of the picture may be given.
using Keep = std::function<torch::Tensor(const torch::Tensor& x_BCHW, const Level& level)>;

// What a sampler goes by. Everything outlives the run.
struct Sampling {
  const Denoiser& denoise;
  const NoiseSchedule& schedule;
  const SamplerSettings& settings;
  const Grid& grid;
  NoiseSource& noise;
  const std::function<void()>& after_step;  // called once a step of the grid
  size_t first = 0;                         // of the grid's levels, where the run begins
  const Keep& keep;                         // may be empty

  void StepDone() const {
    if (after_step) after_step();
  }
  // Latents after the step from the grid's level i, and before the model is asked again. The last
  // ones are clean, wherever the grid ends.
  torch::Tensor Kept(const torch::Tensor& x_BCHW, size_t i) const {
    if (!keep) return x_BCHW;
    return keep(x_BCHW, i + 1 < grid.levels.size() ? grid.levels[i + 1] : Level{});
  }
};

// Latents to begin with that are not noise alone.
struct SamplerStart {
  size_t first = 0;      // of the steps, the first that is done
  torch::Tensor x_BCHW;  // at Sampler::StartLevel
  Keep keep = {};        // may be empty
};

// grid.levels[first].
Level StartOfStep(const Grid& grid, size_t first);

struct SamplerRow {
  std::string_view name;  // as in common/sampler_names.h
  // The defaults of the class in diffusers, and the keys that it has beside the betas'.
  NoiseScheduleOptions schedule;
  SamplerSettings settings;
  std::vector<std::string_view> keys;

  Grid (*grid)(const NoiseSchedule& schedule, const SamplerSettings& settings, int steps);
  // Clean latents from x_BCHW at the level where the run begins.
  torch::Tensor (*run)(const Sampling& sampling, torch::Tensor x_BCHW);
  // Where a run begins whose first step is `first`.
  Level (*start)(const Grid& grid, size_t first) = StartOfStep;

  bool Has(std::string_view key) const;
};

std::span<const SamplerRow> SamplerTable();

// The row of a name in common/sampler_names.h.
const SamplerRow& RowNamed(std::string_view name);

// A sampler that is ready to run: a choice with the tables that follow from it. Immutable.
class Sampler {
 public:
  explicit Sampler(SamplerChoice choice);

  const std::string& name() const { return choice_.name; }
  const NoiseSchedule& schedule() const { return schedule_; }
  const SamplerSettings& settings() const { return choice_.settings; }

  // kInvalidArgument where the sampler cannot go through the schedule in so many steps.
  Grid GridOf(int steps) const { return choice_.row->grid(schedule_, choice_.settings, steps); }

  // Unit noise as latents at the grid's first level.
  torch::Tensor Scaled(const torch::Tensor& unit_noise_BCHW, int steps) const;
  // Clean latents from unit_noise_BCHW (unit variance). after_step is called once a step.
  torch::Tensor Sample(const Denoiser& denoiser, const torch::Tensor& unit_noise_BCHW,
                       NoiseSource& noise, int steps,
                       const std::function<void()>& after_step = {}) const;

  // Where a run of `steps` steps stands whose first ones are left out, `first` of them.
  Level StartLevel(int steps, size_t first) const;
  // The same from latents at that level: steps - start.first of the steps are done.
  torch::Tensor SampleFrom(const Denoiser& denoiser, const SamplerStart& start, NoiseSource& noise,
                           int steps, const std::function<void()>& after_step = {}) const;

 private:
  SamplerChoice choice_;
  NoiseSchedule schedule_;
};

}  // namespace likeness

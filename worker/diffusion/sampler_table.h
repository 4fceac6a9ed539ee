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

// What a sampler goes by. Everything outlives the run.
struct Sampling {
  const Denoiser& denoise;
  const NoiseSchedule& schedule;
  const SamplerSettings& settings;
  const Grid& grid;
  NoiseSource& noise;
  const std::function<void()>& after_step;  // called once a step of the grid

  void StepDone() const {
    if (after_step) after_step();
  }
};

struct SamplerRow {
  std::string_view name;  // as in common/sampler_names.h
  // The defaults of the class in diffusers, and the keys that it has beside the betas'.
  NoiseScheduleOptions schedule;
  SamplerSettings settings;
  std::vector<std::string_view> keys;

  Grid (*grid)(const NoiseSchedule& schedule, const SamplerSettings& settings, int steps);
  // Clean latents from x_BCHW at grid.levels[0].
  torch::Tensor (*run)(const Sampling& sampling, torch::Tensor x_BCHW);

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

  // Clean latents from unit_noise_BCHW (unit variance). after_step is called once a step.
  torch::Tensor Sample(const Denoiser& denoiser, const torch::Tensor& unit_noise_BCHW,
                       NoiseSource& noise, int steps,
                       const std::function<void()>& after_step = {}) const;

 private:
  SamplerChoice choice_;
  NoiseSchedule schedule_;
};

}  // namespace likeness

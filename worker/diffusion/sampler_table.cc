#include "worker/diffusion/sampler_table.h"

#include <algorithm>
#include <string>

#include "worker/base/error.h"
#include "worker/diffusion/samplers/samplers.h"

namespace likeness {
namespace {

// The betas that diffusers' classes have by themselves.
const NoiseScheduleOptions kWide = {
    .beta_start = 0.0001, .beta_end = 0.02, .beta_schedule = "linear"};
const NoiseScheduleOptions kNarrow = {
    .beta_start = 0.00085, .beta_end = 0.012, .beta_schedule = "linear"};
const NoiseScheduleOptions kScaled = {};

const SamplerSettings kLinspace = {.spacing = TimestepSpacing::kLinspace};

const SamplerSettings kClipped = {.limits = {.clip_range = 1.0}};

using Keys = std::vector<std::string_view>;

Keys Joined(Keys keys, const Keys& more) {
  keys.insert(keys.end(), more.begin(), more.end());
  return keys;
}

const Keys kSigmaKeys = {"use_karras_sigmas", "use_exponential_sigmas", "use_beta_sigmas"};
const Keys kSolverKeys =
    Joined(kSigmaKeys, {"thresholding", "solver_order", "solver_type", "lower_order_final",
                        "use_flow_sigmas", "use_dynamic_shifting"});
const Keys kDpmMultistepKeys =
    Joined(kSolverKeys, {"rescale_betas_zero_snr", "euler_at_final", "final_sigmas_type",
                         "lambda_min_clipped", "variance_type", "use_lu_lambdas"});

const SamplerRow kRows[] = {
    {.name = "ddpm",
     .schedule = kWide,
     .settings = kClipped,
     .keys = {"rescale_betas_zero_snr", "thresholding", "clip_sample", "variance_type"},
     .grid = TimestepGrid,
     .run = RunDdpm},
    {.name = "ddim",
     .schedule = kWide,
     .settings = kClipped,
     .keys = {"rescale_betas_zero_snr", "thresholding", "clip_sample", "set_alpha_to_one"},
     .grid = TimestepGrid,
     .run = RunDdim},
    {.name = "pndm",
     .schedule = kWide,
     .settings = {.set_alpha_to_one = false},
     .keys = {"set_alpha_to_one", "skip_prk_steps"},
     .grid = PndmGrid,
     .run = RunPndm,
     .start = PndmStart},
    {.name = "plms",
     .schedule = kWide,
     .settings = {.set_alpha_to_one = false, .skip_prk_steps = true},
     .keys = {"set_alpha_to_one"},
     .grid = PndmGrid,
     .run = RunPndm,
     .start = PndmStart},
    {.name = "lms",
     .schedule = kWide,
     .settings = kLinspace,
     .keys = kSigmaKeys,
     .grid = SigmaGrid,
     .run = RunLms},
    {.name = "euler",
     .schedule = kWide,
     .settings = kLinspace,
     .keys = Joined(kSigmaKeys, {"rescale_betas_zero_snr", "interpolation_type", "timestep_type",
                                 "final_sigmas_type"}),
     .grid = SigmaGrid,
     .run = RunEuler},
    {.name = "euler_ancestral",
     .schedule = kWide,
     .settings = kLinspace,
     .keys = {"rescale_betas_zero_snr"},
     .grid = SigmaGrid,
     .run = RunEulerAncestral},
    {.name = "heun",
     .schedule = kNarrow,
     .settings = kLinspace,
     .keys = kSigmaKeys,
     .grid = SigmaGrid,
     .run = RunHeun},
    {.name = "dpm2",
     .schedule = kNarrow,
     .settings = kLinspace,
     .keys = kSigmaKeys,
     .grid = RoundedSigmaGrid,
     .run = RunDpm2},
    {.name = "dpm2_ancestral",
     .schedule = kNarrow,
     .settings = kLinspace,
     .keys = kSigmaKeys,
     .grid = RoundedSigmaGrid,
     .run = RunDpm2Ancestral},
    {.name = "dpmpp_2m",
     .schedule = kWide,
     .settings = kLinspace,
     .keys = kDpmMultistepKeys,
     .grid = DpmSolverGrid,
     .run = RunDpmMultistep},
    {.name = "dpmpp_2m_sde",
     .schedule = kWide,
     .settings = {.spacing = TimestepSpacing::kLinspace, .sde = true},
     .keys = kDpmMultistepKeys,
     .grid = DpmSolverGrid,
     .run = RunDpmMultistep},
    {.name = "dpmpp_sde",
     .schedule = kNarrow,
     .settings = kLinspace,
     .keys = kSigmaKeys,
     .grid = SigmaGrid,
     .run = RunDpmSde},
    {.name = "unipc",
     .schedule = kWide,
     .settings = {.spacing = TimestepSpacing::kLinspace, .solver_type = SolverType::kBh2},
     .keys = Joined(kSolverKeys, {"rescale_betas_zero_snr", "predict_x0", "disable_corrector",
                                  "solver_p", "shift_terminal", "final_sigmas_type"}),
     .grid = SolverGrid,
     .run = RunUniPc},
    {.name = "deis",
     .schedule = kWide,
     .settings = {.spacing = TimestepSpacing::kLinspace, .final_sigma = FinalSigma::kGridMin},
     .keys = kSolverKeys,
     .grid = SolverGrid,
     .run = RunDeis},
    {.name = "lcm",
     .schedule = kScaled,
     .settings = {},
     .keys = {"rescale_betas_zero_snr", "thresholding", "clip_sample", "original_inference_steps",
              "timestep_scaling"},
     .grid = DistilledGrid,
     .run = RunLcm},
    {.name = "tcd",
     .schedule = kScaled,
     .settings = {},
     .keys = {"rescale_betas_zero_snr", "original_inference_steps"},
     .grid = DistilledGrid,
     .run = RunTcd},
};

}  // namespace

bool SamplerRow::Has(std::string_view key) const {
  return std::find(keys.begin(), keys.end(), key) != keys.end();
}

Level StartOfStep(const Grid& grid, size_t first) { return grid.levels.at(first); }

std::span<const SamplerRow> SamplerTable() { return kRows; }

const SamplerRow& RowNamed(std::string_view name) {
  for (const SamplerRow& row : kRows) {
    if (row.name == name) return row;
  }
  throw Error(ErrorKind::kInternal, "sampler " + std::string(name) + " has no row");
}

Sampler::Sampler(SamplerChoice choice) : choice_(std::move(choice)), schedule_(choice_.schedule) {}

torch::Tensor Sampler::Sample(const Denoiser& denoiser, const torch::Tensor& unit_noise_BCHW,
                              NoiseSource& noise, int steps,
                              const std::function<void()>& after_step) const {
  return SampleFrom(denoiser, {.x_BCHW = Scaled(unit_noise_BCHW, steps)}, noise, steps, after_step);
}

torch::Tensor Sampler::Scaled(const torch::Tensor& unit_noise_BCHW, int steps) const {
  const double scale = GridOf(steps).noise_scale;
  return scale == 1 ? unit_noise_BCHW : unit_noise_BCHW * scale;
}

Level Sampler::StartLevel(int steps, size_t first) const {
  return choice_.row->start(GridOf(steps), first);
}

torch::Tensor Sampler::SampleFrom(const Denoiser& denoiser, const SamplerStart& start,
                                  NoiseSource& noise, int steps,
                                  const std::function<void()>& after_step) const {
  const Grid grid = GridOf(steps);
  TORCH_CHECK(start.first < grid.levels.size(), "no step is left to do");
  const Sampling sampling{.denoise = denoiser,
                          .schedule = schedule_,
                          .settings = choice_.settings,
                          .grid = grid,
                          .noise = noise,
                          .after_step = after_step,
                          .first = start.first,
                          .keep = start.keep};
  return choice_.row->run(sampling, start.x_BCHW);
}

}  // namespace likeness

// The forward process of latent diffusion: how much signal and noise a latent holds at each
// timestep.
//
// x_t = sqrt(a_t) x_0 + sqrt(1 - a_t) eps, with a_t = prod_{s<=t} (1 - beta_s)  (Ho et al.,
// 2006.11239, eq. 4). Shapes: B batch, C channels, H W latent height and width.
#pragma once

#include <torch/torch.h>

#include <string>
#include <vector>

#include "third_party/nlohmann/json_fwd.hpp"
#include "worker/diffusion/level.h"

namespace likeness {

// What the UNet was trained to predict. kV: Salimans and Ho, 2202.00512, v = sqrt(a) eps - sqrt(1 -
// a) x_0.
enum class PredictionType { kEpsilon, kV, kSample };

// The settings of scheduler_config.json that describe the process itself, whatever goes through it.
// Defaults are Stable Diffusion 1.x.
struct NoiseScheduleOptions {
  int num_train_timesteps = 1000;
  double beta_start = 0.00085;
  double beta_end = 0.012;
  // "linear", "scaled_linear", or "squaredcos_cap_v2" (Nichol and Dhariwal, 2102.09672), which has
  // no beta_start and beta_end.
  std::string beta_schedule = "scaled_linear";
  PredictionType prediction_type = PredictionType::kEpsilon;
  // Rescaled so that the last timestep holds no signal: 2305.08891, algorithm 1. Not with kEpsilon.
  bool rescale_betas_zero_snr = false;

  // What a model was trained on: the file as DDPMScheduler reads it, as the reference's training
  // does. kFailedPrecondition names what is not supported; docs/decisions/0025 lists which.
  static NoiseScheduleOptions FromJson(const nlohmann::json& config);
  // In the format of diffusers' DDIMScheduler.
  nlohmann::json ToJson() const;
};

// Immutable. The table lives on the CPU; tensor arguments may be on any device and keep their
// dtype.
class NoiseSchedule {
 public:
  explicit NoiseSchedule(NoiseScheduleOptions options = {});

  const NoiseScheduleOptions& options() const { return options_; }
  int num_train_timesteps() const { return options_.num_train_timesteps; }

  // a_t for every timestep: float32 [num_train_timesteps], on the CPU.
  const torch::Tensor& alphas_cumprod() const { return alphas_cumprod_; }
  // a_t of one timestep, 0 <= t < num_train_timesteps.
  double AlphaCumprod(int64_t t) const;

  // The level that training had at a timestep.
  Level LevelAt(int64_t t) const;
  // The same for solvers that divide by the signal: zero terminal SNR leaves 2^-24 of it, as in the
  // reference.
  Level SolverLevelAt(int64_t t) const;
  // A timestep between two, 0 <= t: sigma lies on the line between theirs.
  Level InterpolatedLevelAt(double t) const;
  // Where the schedule has this sigma: log sigma lies on the line between two timesteps'. Beyond
  // its ends, the end.
  double TimestepOfSigma(double sigma) const;

  // x_t from x_0 and eps, each BCHW; t_B int64.
  torch::Tensor AddNoise(const torch::Tensor& x0_BCHW, const torch::Tensor& noise_BCHW,
                         const torch::Tensor& t_B) const;
  // What the model should predict at t: eps, v or x_0, by options().prediction_type.
  torch::Tensor Target(const torch::Tensor& x0_BCHW, const torch::Tensor& noise_BCHW,
                       const torch::Tensor& t_B) const;
  // Signal to noise ratio a_t / (1 - a_t): float32 [B], on t_B's device.
  torch::Tensor Snr(const torch::Tensor& t_B) const;

 private:
  NoiseScheduleOptions options_;
  torch::Tensor alphas_cumprod_;
  std::vector<double> log_sigmas_;  // of SolverLevelAt, as float32 holds them
};

}  // namespace likeness

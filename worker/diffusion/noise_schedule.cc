#include "worker/diffusion/noise_schedule.h"

#include <cmath>

#include "third_party/nlohmann/json.hpp"
#include "worker/base/error.h"
#include "worker/base/io/config_reader.h"

namespace likeness {
namespace {

constexpr std::pair<PredictionType, const char*> kPredictionTypes[] = {
    {PredictionType::kEpsilon, "epsilon"},
    {PredictionType::kV, "v_prediction"},
    {PredictionType::kSample, "sample"},
};

constexpr std::pair<TimestepSpacing, const char*> kSpacings[] = {
    {TimestepSpacing::kLeading, "leading"},
    {TimestepSpacing::kLinspace, "linspace"},
    {TimestepSpacing::kTrailing, "trailing"},
};

template <typename Enum, size_t n>
std::string NameOf(const std::pair<Enum, const char*> (&names)[n], Enum value) {
  for (const auto& [known, name] : names) {
    if (known == value) return name;
  }
  throw Error(ErrorKind::kInternal, "a setting without a name");
}

// Reads one of the names into `value`, an Enum or an optional one.
template <typename Enum, size_t n, typename Value>
void ReadName(ConfigReader& reader, const char* setting,
              const std::pair<Enum, const char*> (&names)[n], Value& value) {
  if (!reader.Has(setting)) return;
  const auto text = reader.Get<std::string>(setting);
  std::string allowed;
  for (const auto& [known, name] : names) {
    if (text == name) {
      value = known;
      return;
    }
    allowed += (allowed.empty() ? "" : ", ") + std::string(name);
  }
  reader.Refuse(setting, "is not supported; allowed: " + allowed);
}

// Settings of other samplers than ours, which a file holds that was written for one of those; and
// clip_sample and steps_offset, which StableDiffusionPipeline overrides.
void IgnoreWhatChangesNothing(ConfigReader& reader) {
  reader.Ignore({"clip_sample", "steps_offset"});
  reader.Ignore({"algorithm_type",
                 "clip_sample_range",
                 "corrector_order",
                 "disable_corrector",
                 "dynamic_thresholding_ratio",
                 "euler_at_final",
                 "flow_shift",
                 "interpolation_type",
                 "lower_order_final",
                 "original_inference_steps",
                 "predict_x0",
                 "predictor_order",
                 "sample_max_value",
                 "sigma_max",
                 "sigma_min",
                 "skip_prk_steps",
                 "solver_order",
                 "solver_type",
                 "time_shift_type",
                 "timestep_scaling",
                 "use_corrector",
                 "variance_type"});
}

[[noreturn]] void Refuse(const std::string& setting, const std::string& value,
                         const std::string& allowed) {
  throw Error(ErrorKind::kFailedPrecondition,
              "scheduler: " + setting + " is " + value + "; allowed: " + allowed);
}

void Check(const NoiseScheduleOptions& options) {
  if (options.num_train_timesteps < 2 || options.num_train_timesteps > 100000) {
    Refuse("num_train_timesteps", std::to_string(options.num_train_timesteps), "2 to 100000");
  }
  if (!(options.beta_start > 0 && options.beta_start < 1)) {
    Refuse("beta_start", ShownJson(options.beta_start), "above 0, below 1");
  }
  if (!(options.beta_end >= options.beta_start && options.beta_end < 1)) {
    Refuse("beta_end", ShownJson(options.beta_end), "beta_start or more, below 1");
  }
  if (options.beta_schedule != "scaled_linear" && options.beta_schedule != "linear") {
    Refuse("beta_schedule", ShownJson(options.beta_schedule), "scaled_linear, linear");
  }
  // What is left of a picture in noise alone cannot be divided by the signal.
  if (options.rescale_betas_zero_snr && options.prediction_type == PredictionType::kEpsilon) {
    Refuse("rescale_betas_zero_snr", "true", "false where prediction_type is epsilon");
  }
}

// Lin et al., 2305.08891, algorithm 1, in the reference's order of operations.
torch::Tensor WithZeroTerminalSnr(const torch::Tensor& betas) {
  auto signal = (1 - betas).cumprod(0).sqrt();
  const auto first = signal[0].clone(), last = signal[-1].clone();
  signal = (signal - last) * (first / (first - last));
  const auto alphas_cumprod = signal.square();
  const auto alphas = alphas_cumprod.slice(0, 1) / alphas_cumprod.slice(0, 0, -1);
  return 1 - torch::cat({alphas_cumprod.slice(0, 0, 1), alphas});
}

// float32 throughout, as the reference computes it.
torch::Tensor Betas(const NoiseScheduleOptions& options) {
  const bool scaled = options.beta_schedule == "scaled_linear";
  const double from = scaled ? std::sqrt(options.beta_start) : options.beta_start;
  const double to = scaled ? std::sqrt(options.beta_end) : options.beta_end;
  const auto ramp = torch::linspace(from, to, options.num_train_timesteps, torch::kFloat32);
  const auto betas = scaled ? ramp.square() : ramp;
  return options.rescale_betas_zero_snr ? WithZeroTerminalSnr(betas) : betas;
}

// sqrt(a_t) and sqrt(1 - a_t), shaped to multiply x_BCHW.
struct Coefficients {
  torch::Tensor signal_B111;
  torch::Tensor noise_B111;
};

Coefficients CoefficientsAt(const torch::Tensor& alphas_cumprod, const torch::Tensor& t_B,
                            const torch::Tensor& x_BCHW) {
  auto a_B111 = alphas_cumprod.to(x_BCHW.device()).index_select(0, t_B).view({-1, 1, 1, 1});
  return {a_B111.sqrt().to(x_BCHW.dtype()), (1 - a_B111).sqrt().to(x_BCHW.dtype())};
}

}  // namespace

NoiseScheduleOptions NoiseScheduleOptions::FromJson(const nlohmann::json& config) {
  ConfigReader reader("scheduler", config);
  NoiseScheduleOptions options;
  // What a file leaves out has the defaults of diffusers' classes, which are not Stable
  // Diffusion's.
  int64_t timesteps = 1000;
  reader.ReadSize("num_train_timesteps", timesteps);
  options.num_train_timesteps = static_cast<int>(timesteps);
  options.beta_start = 0.0001;
  options.beta_end = 0.02;
  options.beta_schedule = "linear";
  options.set_alpha_to_one = true;
  reader.Read("beta_start", options.beta_start);
  reader.Read("beta_end", options.beta_end);
  reader.Read("beta_schedule", options.beta_schedule);
  ReadName(reader, "prediction_type", kPredictionTypes, options.prediction_type);
  reader.Read("rescale_betas_zero_snr", options.rescale_betas_zero_snr);
  ReadName(reader, "timestep_spacing", kSpacings, options.timestep_spacing);
  reader.Read("set_alpha_to_one", options.set_alpha_to_one);
  reader.Read("use_karras_sigmas", options.use_karras_sigmas);
  reader.Require("trained_betas", nullptr);
  reader.Require("thresholding", false);
  reader.Require("final_sigmas_type", "zero");
  reader.Require("lambda_min_clipped", nullptr);  // -Infinity, which clips nothing
  reader.Require("timestep_type", "discrete");
  IgnoreWhatChangesNothing(reader);
  reader.Finish();
  Check(options);
  return options;
}

nlohmann::json NoiseScheduleOptions::ToJson() const {
  nlohmann::json config = {{"_class_name", "DDIMScheduler"},
                           {"num_train_timesteps", num_train_timesteps},
                           {"beta_start", beta_start},
                           {"beta_end", beta_end},
                           {"beta_schedule", beta_schedule},
                           {"prediction_type", NameOf(kPredictionTypes, prediction_type)},
                           {"rescale_betas_zero_snr", rescale_betas_zero_snr},
                           {"steps_offset", kStepsOffset},
                           {"set_alpha_to_one", set_alpha_to_one},
                           {"clip_sample", false},
                           {"trained_betas", nullptr}};
  if (timestep_spacing) config["timestep_spacing"] = NameOf(kSpacings, *timestep_spacing);
  if (use_karras_sigmas) config["use_karras_sigmas"] = true;
  return config;
}

NoiseSchedule::NoiseSchedule(NoiseScheduleOptions options) : options_(std::move(options)) {
  Check(options_);
  torch::NoGradGuard no_grad;
  alphas_cumprod_ = (1 - Betas(options_)).cumprod(0);
}

double NoiseSchedule::AlphaCumprod(int64_t t) const {
  TORCH_CHECK(t >= 0 && t < num_train_timesteps(), "timestep ", t, " is outside the schedule");
  return alphas_cumprod_.data_ptr<float>()[t];
}

torch::Tensor NoiseSchedule::AddNoise(const torch::Tensor& x0_BCHW, const torch::Tensor& noise_BCHW,
                                      const torch::Tensor& t_B) const {
  auto at = CoefficientsAt(alphas_cumprod_, t_B, x0_BCHW);
  return at.signal_B111 * x0_BCHW + at.noise_B111 * noise_BCHW;
}

torch::Tensor NoiseSchedule::Target(const torch::Tensor& x0_BCHW, const torch::Tensor& noise_BCHW,
                                    const torch::Tensor& t_B) const {
  switch (options_.prediction_type) {
    case PredictionType::kEpsilon:
      return noise_BCHW;
    case PredictionType::kSample:
      return x0_BCHW;
    case PredictionType::kV:
      break;
  }
  auto at = CoefficientsAt(alphas_cumprod_, t_B, x0_BCHW);
  return at.signal_B111 * noise_BCHW - at.noise_B111 * x0_BCHW;
}

torch::Tensor NoiseSchedule::Snr(const torch::Tensor& t_B) const {
  auto a_B = alphas_cumprod_.to(t_B.device()).index_select(0, t_B);
  return a_B / (1 - a_B);
}

}  // namespace likeness

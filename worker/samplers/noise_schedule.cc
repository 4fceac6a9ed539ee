#include "worker/samplers/noise_schedule.h"

#include <cmath>

#include "third_party/nlohmann/json.hpp"
#include "worker/base/error.h"

namespace likeness {
namespace {

constexpr std::pair<PredictionType, const char*> kPredictionTypes[] = {
    {PredictionType::kEpsilon, "epsilon"},
    {PredictionType::kV, "v_prediction"},
    {PredictionType::kSample, "sample"},
};

[[noreturn]] void Refuse(const std::string& setting, const nlohmann::json& value,
                         const std::string& allowed) {
  throw Error(ErrorKind::kFailedPrecondition,
              "scheduler: " + setting + " is " + value.dump() + "; allowed: " + allowed);
}

PredictionType ParsePredictionType(const std::string& name) {
  for (const auto& [type, type_name] : kPredictionTypes) {
    if (name == type_name) return type;
  }
  Refuse("prediction_type", name, "epsilon, v_prediction, sample");
}

std::string PredictionTypeName(PredictionType type) {
  for (const auto& [known, name] : kPredictionTypes) {
    if (type == known) return name;
  }
  throw Error(ErrorKind::kInternal, "prediction type without a name");
}

// Settings that would change the pictures and that no code here follows.
void RefuseUnsupported(const nlohmann::json& config) {
  for (const char* setting : {"thresholding", "rescale_betas_zero_snr"}) {
    if (config.value(setting, false)) Refuse(setting, true, "false");
  }
  if (config.contains("trained_betas") && !config["trained_betas"].is_null()) {
    Refuse("trained_betas", "a list", "null");
  }
}

void Check(const NoiseScheduleOptions& options) {
  if (options.num_train_timesteps < 1 || options.num_train_timesteps > 100000) {
    Refuse("num_train_timesteps", options.num_train_timesteps, "1 to 100000");
  }
  if (!(options.beta_start > 0 && options.beta_start < 1)) {
    Refuse("beta_start", options.beta_start, "above 0, below 1");
  }
  if (!(options.beta_end >= options.beta_start && options.beta_end < 1)) {
    Refuse("beta_end", options.beta_end, "beta_start or more, below 1");
  }
  if (options.beta_schedule != "scaled_linear" && options.beta_schedule != "linear") {
    Refuse("beta_schedule", options.beta_schedule, "scaled_linear, linear");
  }
  if (options.steps_offset != 0 && options.steps_offset != 1) {
    Refuse("steps_offset", options.steps_offset, "0, 1");
  }
  if (options.timestep_spacing != "leading") {
    Refuse("timestep_spacing", options.timestep_spacing, "leading");
  }
}

// float32 throughout, as the reference computes it.
torch::Tensor Betas(const NoiseScheduleOptions& options) {
  const bool scaled = options.beta_schedule == "scaled_linear";
  const double from = scaled ? std::sqrt(options.beta_start) : options.beta_start;
  const double to = scaled ? std::sqrt(options.beta_end) : options.beta_end;
  auto ramp = torch::linspace(from, to, options.num_train_timesteps, torch::kFloat32);
  return scaled ? ramp.square() : ramp;
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

NoiseScheduleOptions NoiseScheduleOptions::FromJson(const nlohmann::json& config) try {
  RefuseUnsupported(config);
  NoiseScheduleOptions options;
  // What a file leaves out has the defaults of diffusers' classes, which are not Stable
  // Diffusion's.
  options.num_train_timesteps = config.value("num_train_timesteps", 1000);
  options.beta_start = config.value("beta_start", 0.0001);
  options.beta_end = config.value("beta_end", 0.02);
  options.beta_schedule = config.value("beta_schedule", "linear");
  options.prediction_type = ParsePredictionType(config.value("prediction_type", "epsilon"));
  const bool is_ddim = config.value("_class_name", "DDIMScheduler") == "DDIMScheduler";
  options.set_alpha_to_one = config.value("set_alpha_to_one", is_ddim);
  options.timestep_spacing = config.value("timestep_spacing", "leading");
  Check(options);
  return options;
} catch (const nlohmann::json::exception& e) {
  throw Error(ErrorKind::kFailedPrecondition, std::string("scheduler: ") + e.what());
}

nlohmann::json NoiseScheduleOptions::ToJson() const {
  return {{"_class_name", "DDIMScheduler"},
          {"num_train_timesteps", num_train_timesteps},
          {"beta_start", beta_start},
          {"beta_end", beta_end},
          {"beta_schedule", beta_schedule},
          {"prediction_type", PredictionTypeName(prediction_type)},
          {"steps_offset", steps_offset},
          {"set_alpha_to_one", set_alpha_to_one},
          {"timestep_spacing", timestep_spacing},
          {"clip_sample", false},
          {"trained_betas", nullptr}};
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

#include "worker/diffusion/noise_schedule.h"

#include <algorithm>
#include <cmath>

#include "third_party/nlohmann/json.hpp"
#include "worker/base/error.h"
#include "worker/base/io/config_reader.h"
#include "worker/diffusion/scheduler_file.h"

namespace likeness {
namespace {

// Half the logarithm of signal over noise is infinite without any signal: the reference puts this
// number where zero terminal SNR leaves none.
constexpr double kLeastSignal = 1.0 / (1 << 24);

// What a file leaves out has the defaults of diffusers' classes, which are not Stable Diffusion's.
const NoiseScheduleOptions kDiffusersDefaults = {
    .beta_start = 0.0001, .beta_end = 0.02, .beta_schedule = "linear"};

constexpr char kCosine[] = "squaredcos_cap_v2";

constexpr SettingName<PredictionType> kPredictionTypes[] = {
    {PredictionType::kEpsilon, "epsilon"},
    {PredictionType::kV, "v_prediction"},
    {PredictionType::kSample, "sample"},
};

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
  if (options.beta_schedule != "scaled_linear" && options.beta_schedule != "linear" &&
      options.beta_schedule != kCosine) {
    Refuse("beta_schedule", ShownJson(options.beta_schedule),
           "scaled_linear, linear, squaredcos_cap_v2");
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

// beta_t from the squared cosine that the cumulated alphas follow, 0.999 at most.
torch::Tensor CosineBetas(int timesteps) {
  const auto alpha_bar = [](double share) {
    return std::pow(std::cos((share + 0.008) / 1.008 * M_PI / 2), 2);
  };
  std::vector<float> betas;
  for (int t = 0; t < timesteps; ++t) {
    const double from = static_cast<double>(t) / timesteps;
    const double to = static_cast<double>(t + 1) / timesteps;
    betas.push_back(static_cast<float>(std::min(1 - alpha_bar(to) / alpha_bar(from), 0.999)));
  }
  return torch::tensor(betas);
}

// float32 throughout, as the reference computes it.
torch::Tensor RampedBetas(const NoiseScheduleOptions& options) {
  const bool scaled = options.beta_schedule == "scaled_linear";
  const double from = scaled ? std::sqrt(options.beta_start) : options.beta_start;
  const double to = scaled ? std::sqrt(options.beta_end) : options.beta_end;
  const auto ramp = torch::linspace(from, to, options.num_train_timesteps, torch::kFloat32);
  return scaled ? ramp.square() : ramp;
}

torch::Tensor Betas(const NoiseScheduleOptions& options) {
  const auto betas = options.beta_schedule == kCosine ? CosineBetas(options.num_train_timesteps)
                                                      : RampedBetas(options);
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

void ReadNoiseSchedule(ConfigReader& reader, bool can_rescale, NoiseScheduleOptions& options) {
  int64_t timesteps = options.num_train_timesteps;
  reader.ReadSize("num_train_timesteps", timesteps);
  options.num_train_timesteps = static_cast<int>(timesteps);
  reader.Read("beta_start", options.beta_start);
  reader.Read("beta_end", options.beta_end);
  reader.Read("beta_schedule", options.beta_schedule);
  reader.Require("trained_betas", nullptr);
  ReadName(reader, "prediction_type", kPredictionTypes, options.prediction_type);
  if (can_rescale) reader.Read("rescale_betas_zero_snr", options.rescale_betas_zero_snr);
  Check(options);
}

NoiseScheduleOptions NoiseScheduleOptions::FromJson(const nlohmann::json& config) {
  ConfigReader reader("scheduler", config);
  NoiseScheduleOptions options = kDiffusersDefaults;
  ReadNoiseSchedule(reader, /*can_rescale=*/true, options);
  IgnoreSamplerSettings(reader);
  reader.Finish();
  return options;
}

nlohmann::json NoiseScheduleOptions::ToJson() const {
  const auto prediction = std::find_if(
      std::begin(kPredictionTypes), std::end(kPredictionTypes),
      [&](const SettingName<PredictionType>& known) { return known.value == prediction_type; });
  return {{"_class_name", "DDIMScheduler"},
          {"num_train_timesteps", num_train_timesteps},
          {"beta_start", beta_start},
          {"beta_end", beta_end},
          {"beta_schedule", beta_schedule},
          {"prediction_type", prediction->name},
          {"rescale_betas_zero_snr", rescale_betas_zero_snr},
          {"steps_offset", 1},
          {"set_alpha_to_one", false},
          {"clip_sample", false},
          {"trained_betas", nullptr}};
}

NoiseSchedule::NoiseSchedule(NoiseScheduleOptions options) : options_(std::move(options)) {
  Check(options_);
  torch::NoGradGuard no_grad;
  alphas_cumprod_ = (1 - Betas(options_)).cumprod(0);
  for (int64_t t = 0; t < num_train_timesteps(); ++t) {
    log_sigmas_.push_back(static_cast<float>(std::log(SolverLevelAt(t).sigma())));
  }
}

double NoiseSchedule::AlphaCumprod(int64_t t) const {
  TORCH_CHECK(t >= 0 && t < num_train_timesteps(), "timestep ", t, " is outside the schedule");
  return alphas_cumprod_.data_ptr<float>()[t];
}

Level NoiseSchedule::LevelAt(int64_t t) const {
  return {.t = static_cast<double>(t), .a = AlphaCumprod(t)};
}

Level NoiseSchedule::SolverLevelAt(int64_t t) const {
  const bool silent = options_.rescale_betas_zero_snr && t == num_train_timesteps() - 1;
  return {.t = static_cast<double>(t), .a = silent ? kLeastSignal : AlphaCumprod(t)};
}

Level NoiseSchedule::InterpolatedLevelAt(double t) const {
  const auto low = std::min<int64_t>(static_cast<int64_t>(t), num_train_timesteps() - 1);
  if (static_cast<double>(low) == t || low == num_train_timesteps() - 1) {
    Level level = SolverLevelAt(low);
    level.t = t;
    return level;
  }
  const double from = SolverLevelAt(low).sigma(), to = SolverLevelAt(low + 1).sigma();
  return {.t = t, .a = LevelOfSigma(from + (t - static_cast<double>(low)) * (to - from))};
}

double NoiseSchedule::TimestepOfSigma(double sigma) const {
  const double log_sigma = std::log(std::max(sigma, 1e-10));
  const auto above = std::upper_bound(log_sigmas_.begin(), log_sigmas_.end(), log_sigma);
  const auto low = std::clamp<int64_t>(above - log_sigmas_.begin() - 1, 0,
                                       static_cast<int64_t>(log_sigmas_.size()) - 2);
  const double share = std::clamp(
      (log_sigmas_[low] - log_sigma) / (log_sigmas_[low] - log_sigmas_[low + 1]), 0.0, 1.0);
  return (1 - share) * static_cast<double>(low) + share * static_cast<double>(low + 1);
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

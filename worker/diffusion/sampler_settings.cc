#include "worker/diffusion/sampler_settings.h"

#include "common/number_text.h"
#include "worker/base/error.h"
#include "worker/diffusion/sampler_table.h"
#include "worker/diffusion/scheduler_file.h"

namespace likeness {
namespace {

constexpr SettingName<TimestepSpacing> kSpacings[] = {
    {TimestepSpacing::kLeading, "leading"},
    {TimestepSpacing::kLinspace, "linspace"},
    {TimestepSpacing::kTrailing, "trailing"},
};

constexpr SettingName<FinalSigma> kFinalSigmas[] = {
    {FinalSigma::kZero, "zero"},
    {FinalSigma::kScheduleMin, "sigma_min"},
};

// Each class takes the others' names too and then means its own.
constexpr SettingName<SolverType> kSolverTypes[] = {
    {SolverType::kMidpoint, "midpoint"}, {SolverType::kHeun, "heun"},
    {SolverType::kBh1, "bh1"},           {SolverType::kBh2, "bh2"},
    {SolverType::kMidpoint, "logrho"},
};

constexpr SettingName<VarianceType> kVarianceTypes[] = {
    {VarianceType::kFixedSmall, "fixed_small"},
    {VarianceType::kFixedSmall, "fixed_small_log"},  // another way to compute the same
    {VarianceType::kFixedLarge, "fixed_large"},
};

bool IsOneOf(SolverType type, SolverType a, SolverType b) { return type == a || type == b; }

void ReadSigmas(ConfigReader& reader, SamplerSettings& settings) {
  for (const auto& [schedule, key] :
       {std::pair{SigmaSchedule::kKarras, "use_karras_sigmas"},
        std::pair{SigmaSchedule::kExponential, "use_exponential_sigmas"},
        std::pair{SigmaSchedule::kBeta, "use_beta_sigmas"}}) {
    bool used = false;
    reader.Read(key, used);
    if (!used) continue;
    if (settings.sigmas != SigmaSchedule::kTimesteps) {
      reader.Refuse(key, "cannot be true where another schedule of sigmas is");
    }
    settings.sigmas = schedule;
  }
}

void ReadClipping(ConfigReader& reader, SamplerSettings& settings) {
  bool used = settings.limits.clip_range.has_value();
  double range = 1;
  reader.Read("clip_sample", used);
  reader.Read("clip_sample_range", range);
  if (!(range > 0)) reader.Refuse("clip_sample_range", "is not above 0");
  settings.limits.clip_range = used ? std::optional(range) : std::nullopt;
}

void ReadThresholding(ConfigReader& reader, SamplerSettings& settings) {
  bool used = false;
  reader.Read("thresholding", used);
  if (!used) return;
  Thresholding thresholding;
  reader.Read("dynamic_thresholding_ratio", thresholding.ratio);
  reader.Read("sample_max_value", thresholding.max_value);
  if (!(thresholding.ratio >= 0 && thresholding.ratio <= 1)) {
    reader.Refuse("dynamic_thresholding_ratio", "is not within 0 to 1");
  }
  if (!(thresholding.max_value >= 1)) reader.Refuse("sample_max_value", "is not 1 or more");
  settings.limits.thresholding = thresholding;
}

void ReadSolver(ConfigReader& reader, const SamplerRow& row, SamplerSettings& settings) {
  int64_t order = settings.solver_order;
  reader.ReadSize("solver_order", order);
  if (order > 3) reader.Refuse("solver_order", "is not supported; allowed: 1 to 3");
  settings.solver_order = static_cast<int>(order);
  auto type = row.settings.solver_type;
  ReadName(reader, "solver_type", kSolverTypes, type);
  const bool unified = IsOneOf(row.settings.solver_type, SolverType::kBh1, SolverType::kBh2);
  const bool own = IsOneOf(type, SolverType::kBh1, SolverType::kBh2) == unified;
  settings.solver_type = own ? type : row.settings.solver_type;
  reader.Read("lower_order_final", settings.lower_order_final);
}

// The settings of `row`'s class that this code knows one value of. They are read even where the
// class has others, and then mean nothing.
void RequireWhatIsAlwaysSo(ConfigReader& reader, const SamplerRow& row) {
  const std::pair<const char*, nlohmann::json> only[] = {
      {"interpolation_type", "linear"},
      {"timestep_type", "discrete"},
      {"lambda_min_clipped", nullptr},  // -Infinity, which clips nothing
      {"use_lu_lambdas", false},
      {"use_flow_sigmas", false},
      {"use_dynamic_shifting", false},
      {"predict_x0", true},
      {"solver_p", nullptr},
      {"shift_terminal", nullptr},
      {"disable_corrector", nlohmann::json::array()},
  };
  if (row.name == "heun")
    reader.Require("clip_sample", false);  // its slopes are of the model alone
  for (const auto& [key, value] : only) {
    if (row.Has(key)) reader.Require(key, value);
  }
  // The reference looks for these wherever it spreads sigmas, whatever the class.
  if (row.Has("use_karras_sigmas")) {
    reader.Require("sigma_min", nullptr);
    reader.Require("sigma_max", nullptr);
  }
}

void ReadVariance(ConfigReader& reader, const SamplerRow& row, SamplerSettings& settings) {
  if (row.name == "ddpm") {
    ReadName(reader, "variance_type", kVarianceTypes, settings.variance);
    return;
  }
  // Solvers know two, of models that predict twice as many channels; others mean nothing to them.
  if (!reader.Has("variance_type")) return;
  const auto type = reader.Get<std::string>("variance_type");
  if (type.starts_with("learned")) reader.Refuse("variance_type", "is not supported");
}

void ReadDistillation(ConfigReader& reader, int timesteps, SamplerSettings& settings) {
  int64_t steps = settings.original_inference_steps;
  reader.ReadSize("original_inference_steps", steps);
  if (steps > timesteps) {
    reader.Refuse("original_inference_steps", "is more than num_train_timesteps");
  }
  settings.original_inference_steps = static_cast<int>(steps);
}

void ReadOffset(ConfigReader& reader, int timesteps, SamplerSettings& settings) {
  int64_t offset = settings.steps_offset;
  reader.Read("steps_offset", offset);
  if (offset < 0 || offset >= timesteps) {
    reader.Refuse("steps_offset", "is not within 0 to num_train_timesteps");
  }
  settings.steps_offset = static_cast<int>(offset);
}

void ReadSettings(ConfigReader& reader, SamplerChoice& choice) {
  const SamplerRow& row = *choice.row;
  auto& settings = choice.settings;
  ReadName(reader, "timestep_spacing", kSpacings, settings.spacing);
  ReadOffset(reader, choice.schedule.num_train_timesteps, settings);
  if (row.Has("set_alpha_to_one")) reader.Read("set_alpha_to_one", settings.set_alpha_to_one);
  if (row.Has("skip_prk_steps")) reader.Read("skip_prk_steps", settings.skip_prk_steps);
  if (row.Has("thresholding")) ReadThresholding(reader, settings);
  if (row.Has("clip_sample")) ReadClipping(reader, settings);
  if (row.Has("use_karras_sigmas")) ReadSigmas(reader, settings);
  if (row.Has("solver_order")) ReadSolver(reader, row, settings);
  if (row.Has("euler_at_final")) reader.Read("euler_at_final", settings.euler_at_final);
  if (row.Has("variance_type")) ReadVariance(reader, row, settings);
  if (row.Has("final_sigmas_type")) {
    ReadName(reader, "final_sigmas_type", kFinalSigmas, settings.final_sigma);
  }
  if (row.Has("original_inference_steps")) {
    ReadDistillation(reader, choice.schedule.num_train_timesteps, settings);
  }
  if (row.Has("timestep_scaling")) reader.Read("timestep_scaling", settings.timestep_scaling);
  RequireWhatIsAlwaysSo(reader, row);
}

// Where the reference's UniPC divides by zero: a step of higher order to no noise at all, and a
// step from the last level of a schedule of sigmas to itself.
void CheckUniPc(ConfigReader& reader, const SamplerSettings& settings) {
  if (settings.final_sigma == FinalSigma::kZero && !settings.lower_order_final) {
    reader.Refuse("lower_order_final", "has to be true where final_sigmas_type is \"zero\"");
  }
  if (settings.final_sigma != FinalSigma::kZero && settings.sigmas != SigmaSchedule::kTimesteps) {
    reader.Refuse("final_sigmas_type", "has to be \"zero\" with a schedule of sigmas");
  }
}

// The sampler that a file was written for.
NamedSampler SamplerOfFile(ConfigReader& reader) {
  std::string class_name = "DDIMScheduler", algorithm;
  reader.Read("_class_name", class_name);
  bool skip_prk_steps = false;
  reader.Read("algorithm_type", algorithm);
  reader.Read("skip_prk_steps", skip_prk_steps);
  if (class_name == "DPMSolverMultistepScheduler" && !algorithm.empty()) {
    // DEIS' name stands in files that were written for that class before, and means the default.
    if (algorithm == "sde-dpmsolver++") return *FindSampler("dpmpp_2m_sde");
    if (algorithm != "dpmsolver++" && algorithm != "deis") {
      reader.Refuse("algorithm_type", "is not supported; allowed: dpmsolver++, sde-dpmsolver++");
    }
  }
  if (class_name == "PNDMScheduler" && skip_prk_steps) return *FindSampler("plms");
  for (const SamplerName& row : SamplerNames()) {
    if (row.diffusers_class == class_name) return {&row, std::nullopt};
  }
  reader.Refuse("_class_name",
                "is not supported; ask for a sampler by its name, any of " + AllowedSamplers());
}

}  // namespace

SamplerChoice ChooseSampler(const nlohmann::json& scheduler_config, std::string_view asked_for) {
  ConfigReader reader("scheduler", scheduler_config);
  const auto named = asked_for.empty() ? SamplerOfFile(reader) : FindSampler(asked_for);
  if (!named) {
    throw Error(ErrorKind::kInvalidArgument,
                "sampler is \"" + std::string(asked_for) + "\"; allowed: " + AllowedSamplers());
  }
  const SamplerRow& row = RowNamed(named->sampler->name);
  SamplerChoice choice{.row = &row, .schedule = row.schedule, .settings = row.settings, .name = {}};
  ReadNoiseSchedule(reader, row.Has("rescale_betas_zero_snr"), choice.schedule);
  ReadSettings(reader, choice);
  IgnoreSamplerSettings(reader);
  reader.Finish();
  if (named->sigmas) choice.settings.sigmas = *named->sigmas;
  if (row.name == "unipc") CheckUniPc(reader, choice.settings);
  choice.name = CanonicalName({named->sampler, choice.settings.sigmas});
  return choice;
}

void SetEta(double eta, SamplerChoice& choice) {
  const auto refuse = [&](const std::string& why) {
    throw Error(ErrorKind::kInvalidArgument, "eta is " + NumberText(eta) + "; " + why);
  };
  if (!(eta >= 0 && eta <= 1)) refuse("allowed: 0 to 1");
  if (eta > 0 && !FindSampler(choice.name)->sampler->eta) {
    refuse("the sampler " + choice.name + " has none, these have: " + SamplersWithEta());
  }
  choice.settings.eta = eta;
}

}  // namespace likeness

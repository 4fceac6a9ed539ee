#include "common/sampler_names.h"

#include <algorithm>
#include <cctype>

namespace likeness {
namespace {

constexpr SamplerName kSamplerNames[] = {
    {.name = "ddpm",
     .diffusers_class = "DDPMScheduler",
     .a1111 = "DDPM",
     .takes_sigma_schedule = false,
     .stochastic = true},
    {.name = "ddim",
     .diffusers_class = "DDIMScheduler",
     .a1111 = "DDIM",
     .takes_sigma_schedule = false,
     .eta = 0.0},
    {.name = "pndm", .diffusers_class = "PNDMScheduler", .takes_sigma_schedule = false},
    {.name = "plms",
     .diffusers_class = "PNDMScheduler",
     .diffusers_setting = "skip_prk_steps=True",
     .a1111 = "PLMS",
     .takes_sigma_schedule = false},
    {.name = "lms", .diffusers_class = "LMSDiscreteScheduler", .a1111 = "LMS"},
    {.name = "euler", .diffusers_class = "EulerDiscreteScheduler", .a1111 = "Euler"},
    {.name = "euler_ancestral",
     .diffusers_class = "EulerAncestralDiscreteScheduler",
     .a1111 = "Euler a",
     .takes_sigma_schedule = false,
     .stochastic = true},
    {.name = "heun",
     .diffusers_class = "HeunDiscreteScheduler",
     .a1111 = "Heun",
     .evaluations_per_step = 2},
    {.name = "dpm2",
     .diffusers_class = "KDPM2DiscreteScheduler",
     .a1111 = "DPM2",
     .evaluations_per_step = 2},
    {.name = "dpm2_ancestral",
     .diffusers_class = "KDPM2AncestralDiscreteScheduler",
     .a1111 = "DPM2 a",
     .evaluations_per_step = 2,
     .stochastic = true},
    {.name = "dpmpp_2m", .diffusers_class = "DPMSolverMultistepScheduler", .a1111 = "DPM++ 2M"},
    {.name = "dpmpp_2m_sde",
     .diffusers_class = "DPMSolverMultistepScheduler",
     .diffusers_setting = "algorithm_type=\"sde-dpmsolver++\"",
     .a1111 = "DPM++ 2M SDE",
     .stochastic = true},
    {.name = "dpmpp_sde",
     .diffusers_class = "DPMSolverSDEScheduler",
     .a1111 = "DPM++ SDE",
     .evaluations_per_step = 2,
     .stochastic = true},
    {.name = "unipc", .diffusers_class = "UniPCMultistepScheduler", .a1111 = "UniPC"},
    {.name = "deis", .diffusers_class = "DEISMultistepScheduler", .a1111 = "DEIS"},
    {.name = "lcm",
     .diffusers_class = "LCMScheduler",
     .a1111 = "LCM",
     .takes_sigma_schedule = false,
     .stochastic = true},
    {.name = "tcd",
     .diffusers_class = "TCDScheduler",
     .a1111 = "TCD",
     .takes_sigma_schedule = false,
     .stochastic = true,
     .eta = 0.3},
};

struct Suffix {
  SigmaSchedule sigmas;
  std::string_view name;
};
constexpr Suffix kSuffixes[] = {{SigmaSchedule::kKarras, "karras"},
                                {SigmaSchedule::kExponential, "exponential"},
                                {SigmaSchedule::kBeta, "beta"}};

// What all spellings of one name have in common: "DPM++ 2M" and "dpmpp_2m" give "dpmpp2m".
std::string Folded(std::string_view said) {
  std::string folded;
  for (const char c : said) {
    if (c == ' ' || c == '_' || c == '-') continue;
    folded += c == '+' ? 'p' : static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  }
  return folded;
}

const SamplerName* FindRow(std::string_view folded) {
  for (const SamplerName& row : kSamplerNames) {
    // Of two rows of one class, the first is the class's own.
    for (const auto name : {row.name, row.a1111, row.diffusers_class}) {
      if (!name.empty() && Folded(name) == folded) return &row;
    }
  }
  return nullptr;
}

// The names of the rows that are wanted.
std::string Listed(bool (*wanted)(const SamplerName& row)) {
  std::string listed;
  for (const SamplerName& row : kSamplerNames) {
    if (wanted(row)) listed += (listed.empty() ? "" : ", ") + std::string(row.name);
  }
  return listed;
}

}  // namespace

std::span<const SamplerName> SamplerNames() { return kSamplerNames; }

std::optional<NamedSampler> FindSampler(std::string_view said) {
  if (said.size() > 64) return std::nullopt;
  const std::string folded = Folded(said);
  if (const auto* row = FindRow(folded)) return NamedSampler{row, std::nullopt};
  for (const auto& [sigmas, suffix] : kSuffixes) {
    if (!folded.ends_with(suffix)) continue;
    const auto* row = FindRow(std::string_view(folded).substr(0, folded.size() - suffix.size()));
    if (row != nullptr && row->takes_sigma_schedule) return NamedSampler{row, sigmas};
  }
  return std::nullopt;
}

std::string CanonicalName(const NamedSampler& sampler) {
  std::string name(sampler.sampler->name);
  for (const auto& [sigmas, suffix] : kSuffixes) {
    if (sampler.sigmas == sigmas) name += "_" + std::string(suffix);
  }
  return name;
}

std::vector<std::string> CanonicalNames() {
  std::vector<std::string> names;
  for (const SamplerName& row : kSamplerNames) {
    names.push_back(CanonicalName({&row, std::nullopt}));
    if (!row.takes_sigma_schedule) continue;
    for (const auto& suffix : kSuffixes) names.push_back(CanonicalName({&row, suffix.sigmas}));
  }
  return names;
}

std::string AllowedSamplers() {
  return Listed([](const SamplerName&) { return true; });
}

std::string SamplersWithEta() {
  return Listed([](const SamplerName& row) { return row.eta.has_value(); });
}

}  // namespace likeness

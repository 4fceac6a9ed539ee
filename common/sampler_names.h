// The samplers that a picture can be drawn with, by every name that people know them by. The server
// validates against this table, the engine runs it (worker/diffusion/sampler_table.h), and the
// command line lists it. Needs the standard library alone: the engine builds without Abseil.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace likeness {

// How the levels of noise between the noisiest and the cleanest are spread. kTimesteps: as the
// training's timesteps have them. kKarras: Karras et al., 2206.00364, eq. 5. kBeta: Lee et al.,
// 2407.12173.
enum class SigmaSchedule { kTimesteps, kKarras, kExponential, kBeta };

struct SamplerName {
  std::string_view name;             // "dpmpp_2m"
  std::string_view diffusers_class;  // "DPMSolverMultistepScheduler"
  std::string_view diffusers_setting =
      {};                        // what else makes it this sampler there; empty if nothing
  std::string_view a1111 = {};   // "DPM++ 2M"
  int evaluations_per_step = 1;  // of the model
  bool takes_sigma_schedule = true;
  bool stochastic = false;         // draws noise on the way
  std::optional<double> eta = {};  // its default, 0 to 1; none: the sampler has no eta
};

// Every sampler once.
std::span<const SamplerName> SamplerNames();

// A sampler as a job asks for it.
struct NamedSampler {
  const SamplerName* sampler;           // of SamplerNames()
  std::optional<SigmaSchedule> sigmas;  // as the model's scheduler file says, where none
};

// Any spelling of: a name, "euler"; diffusers' class; the name in the Stable Diffusion web UI,
// "DPM++ 2M Karras". Names may end in _karras, _exponential or _beta where the sampler takes a
// sigma schedule. Case, spaces, '_' and '-' do not matter. Nothing for any other text.
std::optional<NamedSampler> FindSampler(std::string_view said);

// The one spelling that records hold: "dpmpp_2m_karras".
std::string CanonicalName(const NamedSampler& sampler);

// The samplers' names, comma between, for messages.
std::string AllowedSamplers();
// Those that have an eta, likewise.
std::string SamplersWithEta();

// Every canonical name, those with a schedule of sigmas too.
std::vector<std::string> CanonicalNames();

}  // namespace likeness

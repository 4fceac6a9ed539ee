// The eta of a sampler where a spec leaves it out: what the server forecasts by and the worker
// draws with.
#pragma once

#include "common/sampler_names.h"

namespace likeness {

// `spec`: what was asked for over what is recommended. A recommended eta goes with the recommended
// sampler: one that was asked for has its own default, or none. `Spec`: a message with a sampler
// and an eta. Nothing happens where the sampler is not known.
template <typename Spec>
void SettleEta(const Spec& asked, Spec& spec) {
  const auto found = FindSampler(spec.sampler());
  if (!found) return;
  const auto& eta = found->sampler->eta;
  if (!asked.has_eta() && (asked.has_sampler() || !eta)) spec.clear_eta();
  if (!spec.has_eta() && eta) spec.set_eta(*eta);
}

}  // namespace likeness

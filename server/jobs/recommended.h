// What base models are offered, and what they recommend.
#pragma once

#include <algorithm>
#include <string>
#include <vector>

#include "likeness/v1/fine_tune.pb.h"
#include "likeness/v1/model.pb.h"

namespace likeness::server {

// Null where it is not among them.
inline const v1::BaseModel* FindOffer(const std::vector<v1::BaseModel>& offered,
                                      const std::string& name) {
  const auto found = std::find_if(offered.begin(), offered.end(),
                                  [&](const v1::BaseModel& offer) { return offer.name() == name; });
  return found == offered.end() ? nullptr : &*found;
}

// For the spec's method; null where it is not said.
inline const v1::FineTuneSpec* DefaultsFor(const v1::FineTuneSpec& spec,
                                           const v1::BaseModel& base) {
  const auto is_for = [&](const v1::FineTuneSpec& defaults) {
    return defaults.method_case() == spec.method_case();
  };
  if (is_for(base.fine_tune_defaults())) return &base.fine_tune_defaults();
  const auto& others = base.other_fine_tune_defaults();
  const auto found = std::find_if(others.begin(), others.end(), is_for);
  return found == others.end() ? nullptr : &*found;
}

}  // namespace likeness::server

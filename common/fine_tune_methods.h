// The methods of fine-tunes.
#pragma once

#include <string>
#include <vector>

#include "likeness/v1/fine_tune.pb.h"

namespace likeness {

// As jobs and workers name them: as their fields are named.
inline std::vector<std::string> FineTuneMethods() {
  const auto* methods = v1::FineTuneSpec::descriptor()->FindOneofByName("method");
  std::vector<std::string> names;
  for (int i = 0; i < methods->field_count(); ++i) names.emplace_back(methods->field(i)->name());
  return names;
}

// Whether the token becomes a word with vectors of its own, whatever it is made of. (Custom
// Diffusion begins with what the vocabulary has for the token.)
inline bool LearnsWord(const v1::FineTuneSpec& spec) {
  return spec.has_textual_inversion() || spec.has_pivotal_tuning();
}

// The settings of that word; those by default where there is none.
inline const v1::TextualInversion& WordSettingsOf(const v1::FineTuneSpec& spec) {
  return spec.has_pivotal_tuning() ? spec.pivotal_tuning().textual_inversion()
                                   : spec.textual_inversion();
}

}  // namespace likeness

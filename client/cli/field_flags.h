// Fields of requests as the flags that fill them.
#pragma once

#include <string>

#include "absl/strings/string_view.h"

namespace likeness::client {

// "--learning-rate" for "job.fine_tune.training.learning_rate"; empty for a field that no flag of
// train, generate or list fills.
std::string FlagForField(absl::string_view field);

// The same for a part of a field's path: "prior.weight", or its last name alone if that has an
// underscore, and one flag alone fills fields of that name: "learning_rate".
std::string FlagForPartOfField(absl::string_view part);

}  // namespace likeness::client

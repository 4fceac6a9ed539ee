// Fields of requests as the flags that fill them.
#pragma once

#include <string>

#include "absl/strings/string_view.h"

namespace likeness::client {

// "--learning-rate" for "job.fine_tune.training.learning_rate"; empty for a field that no flag of
// train, generate or list fills.
std::string FlagForField(absl::string_view field);

}  // namespace likeness::client

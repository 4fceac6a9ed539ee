// The settings of the methods: of each job those of its own method alone.
#pragma once

#include "third_party/nlohmann/json_fwd.hpp"
#include "worker/training/fine_tune_options.h"

namespace likeness {

// Throws Error(kInvalidArgument) naming the first value that is not allowed.
void ValidateMethod(const FineTuneOptions& options);

// An object with the contract's names.
nlohmann::json MethodSettingsJson(const FineTuneOptions& options);

}  // namespace likeness

#pragma once

#include <filesystem>

#include "worker/training/fine_tune_options.h"

namespace likeness {

// Throws StatusError (INVALID_ARGUMENT, INVALID_ADAPTER) naming the setting and both values where
// the adapter in `directory`, from which a training is to go on, was trained with others: with
// another rank, say, its tensors have other shapes, with another alpha they mean something else.
// What an adapter's card does not say (that of an imported one has few settings) is not compared.
void CheckInitialSettings(const std::filesystem::path& directory, const FineTuneOptions& options);

}  // namespace likeness

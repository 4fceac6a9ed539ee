// The directory of a finished model, there whole or not at all.
#pragma once

#include <filesystem>
#include <functional>

#include "third_party/nlohmann/json_fwd.hpp"
#include "worker/base/io/safetensors.h"

namespace likeness {

inline constexpr const char* kCardFile = "likeness_card.json";

// Makes `out`, with what `fill` writes into the directory that it is given, and the card. Errors:
// kFailedPrecondition if `out` exists; kDiskFull; kInternal.
void MakeModelDirectory(const std::filesystem::path& out, const nlohmann::json& card,
                        const std::function<void(const std::filesystem::path&)>& fill);

// Floating-point tensors in `dtype`, others as they are. Throws Error(kFailedPrecondition) naming
// one with a value that `dtype` does not hold.
NamedTensors InDtype(const NamedTensors& tensors, torch::ScalarType dtype);

}  // namespace likeness

// JSON files of a model directory.
#pragma once

#include <filesystem>

#include "third_party/nlohmann/json.hpp"

namespace likeness {

// Errors name the file with its folder ("unet/config.json"): kFailedPrecondition if it is missing,
// kDataLoss if it is not JSON (worker/base/io/model_json.h).
nlohmann::json ReadJsonFile(const std::filesystem::path& path);

// What a file holds that need not be there; discarded (is_discarded) if it cannot be read, as a
// directory in its place, or is not JSON.
nlohmann::json ReadJsonIfThere(const std::filesystem::path& path);

// Indented, whole or not at all (see atomic_file.h).
void WriteJsonFile(const std::filesystem::path& path, const nlohmann::json& value);

}  // namespace likeness

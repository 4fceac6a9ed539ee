// What is known of model directories from earlier starts, in a file: examining one means to read
// all of it.
#pragma once

#include <filesystem>
#include <map>
#include <optional>
#include <string>

#include "absl/status/status.h"

namespace likeness {

struct ExaminedModel {
  std::string stamp;  // changes whenever a file is added, removed, resized or written
  std::string digest;
  int image_size = 0;
  std::string rare_token = {};  // the first of RareTokens; empty if there is none
  bool operator==(const ExaminedModel&) const = default;
};

// By directory.
using ExaminedModels = std::map<std::string, ExaminedModel>;

// Empty where the file is not there or not readable: then all is examined again.
ExaminedModels ReadExaminedModels(const std::filesystem::path& file);

// Whole or not at all, whoever else writes it at the same time.
absl::Status WriteExaminedModels(const std::filesystem::path& file, const ExaminedModels& models);

}  // namespace likeness

// The record of a pretraining run: one JSON object a line, also on standard error.
#pragma once

#include <filesystem>
#include <fstream>

#include "third_party/nlohmann/json_fwd.hpp"

namespace likeness::mini {

class PretrainLog {
 public:
  // Appends to `file`.
  explicit PretrainLog(const std::filesystem::path& file);
  void Write(const nlohmann::json& line);

 private:
  std::ofstream file_;
};

}  // namespace likeness::mini

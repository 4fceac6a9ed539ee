#include "mini/pretrain_log.h"

#include <iostream>

#include "third_party/nlohmann/json.hpp"

namespace likeness::mini {

PretrainLog::PretrainLog(const std::filesystem::path& file) : file_(file, std::ios::app) {}

void PretrainLog::Write(const nlohmann::json& line) {
  const auto text = line.dump();
  file_ << text << std::endl;
  std::cerr << text << std::endl;
}

}  // namespace likeness::mini

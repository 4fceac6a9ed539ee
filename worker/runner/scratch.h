// A directory that lives as long as its owner.
#pragma once

#include <filesystem>

#include "common/ids.h"

namespace likeness {

class Scratch {
 public:
  // Makes a new directory below `root`.
  explicit Scratch(const std::filesystem::path& root) : path_(root / RandomId(16)) {
    std::filesystem::create_directories(path_);
  }
  ~Scratch() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  Scratch(const Scratch&) = delete;
  Scratch& operator=(const Scratch&) = delete;

  const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
};

}  // namespace likeness

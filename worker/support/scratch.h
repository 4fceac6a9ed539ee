// A directory that lives as long as its owner.
#pragma once

#include <filesystem>

namespace likeness {

class Scratch {
 public:
  // Makes a new directory below `root`. Throws fs::filesystem_error.
  explicit Scratch(const std::filesystem::path& root);
  ~Scratch();
  Scratch(const Scratch&) = delete;
  Scratch& operator=(const Scratch&) = delete;

  const std::filesystem::path& path() const { return path_; }

  // Removes what owners that were killed left below `root`; those that live hold a lock.
  static void RemoveOrphans(const std::filesystem::path& root);

 private:
  std::filesystem::path path_;
  int lock_ = -1;  // the open directory
};

}  // namespace likeness

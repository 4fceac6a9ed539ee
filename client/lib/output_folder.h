// The folder for what a job makes, ready before the job is handed in: hours of work should not end
// at a disk that takes no file.
#pragma once

#include <filesystem>
#include <vector>

#include "absl/status/statusor.h"

namespace likeness::client {

class OutputFolder {
 public:
  // Makes `path` with the folders above it, and checks that a file can be made in it; empty: the
  // current folder. INVALID_ARGUMENT names the path and the system's reason.
  static absl::StatusOr<OutputFolder> Prepare(const std::filesystem::path& path);

  // Removes those of the folders that were made here and are empty still.
  ~OutputFolder();
  OutputFolder(OutputFolder&&) = default;
  OutputFolder& operator=(OutputFolder&&) = default;

 private:
  OutputFolder() = default;

  std::vector<std::filesystem::path> made_;  // the outermost first
};

}  // namespace likeness::client

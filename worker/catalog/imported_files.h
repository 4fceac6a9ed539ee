// Checkpoints in one file, as the directories that everything else works with: made once, in a
// cache.
#pragma once

#include <filesystem>

namespace likeness {

class ImportedFiles {
 public:
  // Several workers may share one root. Directories of files that are gone are removed.
  explicit ImportedFiles(std::filesystem::path root);

  // The directory of `file`, made anew where the file, or the vocabulary or the recommended
  // settings (model_defaults.h) beside it, have changed. Throws Error as ImportSingleFile.
  std::filesystem::path DirectoryOf(const std::filesystem::path& file) const;

 private:
  std::filesystem::path root_;
};

}  // namespace likeness

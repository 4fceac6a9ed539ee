#include "worker/catalog/imported_files.h"

#include <algorithm>
#include <fstream>
#include <string>
#include <system_error>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "common/digest.h"
#include "worker/base/io/atomic_file.h"
#include "worker/catalog/model_defaults.h"
#include "worker/families/single_file.h"
#include "worker/support/scratch.h"

namespace likeness {
namespace {

namespace fs = std::filesystem;

constexpr char kSource[] = "source";  // names the file
constexpr int kConversion = 1;        // raised when a file's directory would be another one

void AddTimes(const fs::path& file, std::vector<std::string>& lines) {
  lines.push_back(absl::StrCat(file.filename().string(), " ", fs::file_size(file), " ",
                               fs::last_write_time(file).time_since_epoch().count()));
}

// "model.likeness_defaults.json" for "model.safetensors".
fs::path DefaultsOf(const fs::path& file) {
  return file.parent_path() / absl::StrCat(file.stem().string(), ".", kModelDefaultsFile);
}

// Changes with the file, and with the vocabulary and the recommended settings beside it.
std::string ImportStamp(const fs::path& file) {
  std::vector<std::string> lines = {absl::StrCat("conversion ", kConversion)};
  AddTimes(file, lines);
  if (fs::exists(DefaultsOf(file))) AddTimes(DefaultsOf(file), lines);
  for (const char* folder : {"tokenizer", "tokenizer_2"}) {
    std::error_code none;
    std::vector<fs::path> found;
    for (const auto& entry : fs::directory_iterator(file.parent_path() / folder, none)) {
      if (entry.is_regular_file()) found.push_back(entry);
    }
    std::sort(found.begin(), found.end());
    for (const auto& path : found) AddTimes(path, lines);
  }
  return Sha256Hex(absl::StrJoin(lines, "\n"));
}

}  // namespace

ImportedFiles::ImportedFiles(fs::path root) : root_(std::move(root)) {
  Scratch::RemoveOrphans(root_ / "drafts");
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(root_ / "files", error)) {
    std::string source;
    std::getline(std::ifstream(entry.path() / kSource), source);
    // What this process does not see may be another worker's.
    const fs::path file = source;
    if (source.empty() || !fs::is_directory(file.parent_path(), error)) continue;
    if (!fs::exists(file, error) && !error) fs::remove_all(entry.path(), error);
  }
}

fs::path ImportedFiles::DirectoryOf(const fs::path& file) const {
  const fs::path source = fs::absolute(file);
  const fs::path place = root_ / "files" / Sha256Hex(source.string());
  const fs::path directory = place / ImportStamp(source);
  if (fs::exists(directory)) return directory;

  const Scratch draft(root_ / "drafts");
  ImportSingleFile(source, draft.path() / "model");
  if (fs::exists(DefaultsOf(source))) {
    fs::copy_file(DefaultsOf(source), draft.path() / "model" / kModelDefaultsFile);
  }
  fs::create_directories(place);
  AtomicFile named(place / kSource);
  named.Write(source.string() + "\n");
  named.Commit();
  std::error_code error;
  fs::rename(draft.path() / "model", directory, error);
  // Another worker on this disk may have been faster.
  if (error && !fs::exists(directory)) {
    throw fs::filesystem_error("cannot keep a model", directory, error);
  }
  for (const auto& entry : fs::directory_iterator(place)) {
    if (entry.is_directory() && entry.path() != directory) fs::remove_all(entry.path(), error);
  }
  return directory;
}

}  // namespace likeness

#include "client/lib/output_folder.h"

#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <string>
#include <system_error>

#include "absl/strings/str_cat.h"

namespace likeness::client {
namespace {

namespace fs = std::filesystem;

absl::Status Unusable(const fs::path& path, const std::error_code& error) {
  return absl::InvalidArgumentError(
      absl::StrCat("No file can be written in ", path.string(), ": ", error.message(), "."));
}

// The folders that have to be made for `path`, the outermost first.
std::vector<fs::path> Missing(const fs::path& path) {
  std::vector<fs::path> missing;
  std::error_code error;
  for (fs::path each = path; !each.empty() && !fs::exists(each, error); each = each.parent_path()) {
    if (each.has_filename()) missing.insert(missing.begin(), each);
  }
  return missing;
}

}  // namespace

absl::StatusOr<OutputFolder> OutputFolder::Prepare(const fs::path& path) {
  const fs::path folder = path.empty() ? fs::path(".") : path.lexically_normal();
  OutputFolder prepared;
  for (const fs::path& each : Missing(folder)) {
    std::error_code error;
    if (fs::create_directory(each, error)) prepared.made_.push_back(each);
    if (error) return Unusable(folder, error);
  }
  std::string probe = (folder / ".likeness-XXXXXX").string();
  const int file = mkstemp(probe.data());
  if (file < 0) return Unusable(folder, {errno, std::generic_category()});
  close(file);
  unlink(probe.c_str());
  return prepared;
}

OutputFolder::~OutputFolder() {
  std::error_code not_empty;
  for (auto folder = made_.rbegin(); folder != made_.rend(); ++folder) {
    fs::remove(*folder, not_empty);
  }
}

}  // namespace likeness::client

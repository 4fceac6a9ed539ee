#include "worker/checkpoints/model_files.h"

#include <algorithm>
#include <system_error>
#include <vector>

#include "worker/base/error.h"

namespace likeness {
namespace {

namespace fs = std::filesystem;

constexpr size_t kDeepest = 4;

// `ancestors`: the canonical path of `folder` and of the folders that led here.
void Collect(const fs::path& folder, const fs::path& relative, std::vector<fs::path>& ancestors,
             std::map<std::string, fs::path>& files) {
  std::error_code error;
  for (fs::directory_iterator entry(folder, error), end; !error && entry != end;
       entry.increment(error)) {
    const fs::path name = entry->path().filename();
    std::error_code dangling;
    if (name.string().starts_with('.')) continue;
    if (fs::is_regular_file(entry->path(), dangling)) {
      files[(relative / name).string()] = entry->path();
    } else if (fs::is_directory(entry->path(), dangling) && ancestors.size() <= kDeepest) {
      const fs::path place = fs::canonical(entry->path());
      if (std::find(ancestors.begin(), ancestors.end(), place) != ancestors.end()) continue;
      ancestors.push_back(place);
      Collect(entry->path(), relative / name, ancestors, files);
      ancestors.pop_back();
    }
  }
  if (error) {
    throw Error(ErrorKind::kFailedPrecondition,
                (relative.empty() ? "the model directory" : relative.string()) +
                    " cannot be read: " + error.message());
  }
}

}  // namespace

std::map<std::string, fs::path> FilesOfModel(const fs::path& dir) {
  if (!fs::is_directory(dir)) {
    throw Error(ErrorKind::kNotFound, "there is no model directory " + dir.filename().string());
  }
  std::map<std::string, fs::path> files;
  std::vector<fs::path> ancestors = {fs::canonical(dir)};
  Collect(dir, "", ancestors, files);
  return files;
}

}  // namespace likeness

#include "worker/exports/personalized_model.h"

#include <algorithm>
#include <cerrno>
#include <fstream>

#include "third_party/nlohmann/json.hpp"
#include "worker/base/error.h"
#include "worker/base/io/safetensors_writer.h"
#include "worker/checkpoints/file_kind.h"
#include "worker/checkpoints/model_files.h"

namespace likeness {
namespace {

namespace fs = std::filesystem;

void LinkOrCopy(const fs::path& from, const fs::path& to) {
  fs::create_directories(to.parent_path());
  std::error_code not_linked;
  fs::create_hard_link(fs::canonical(from), to, not_linked);  // a link to a symbolic link is none
  if (not_linked) fs::copy_file(from, to);
}

}  // namespace

bool IsShared(const fs::path& relative, const std::vector<std::string>& changed) {
  const FileKind kind = KindOfFile(relative);
  const bool weights = kind == FileKind::kWeights;
  if (!weights && kind != FileKind::kText) return false;
  if (!relative.has_parent_path()) return !weights && relative != kCardFile;
  return !weights || std::find(changed.begin(), changed.end(), *relative.begin()) == changed.end();
}

void WritePersonalizedModel(const fs::path& base, const fs::path& out,
                            const std::vector<ChangedComponent>& changed, torch::ScalarType dtype,
                            const nlohmann::json& card,
                            const std::function<void(const fs::path&)>& finish,
                            const std::function<void()>& poll) {
  MakeModelDirectory(out, card, [&](const fs::path& partial) {
    std::vector<std::string> folders;
    for (const ChangedComponent& component : changed) folders.push_back(component.folder);
    for (const auto& [relative, file] : FilesOfModel(base)) {
      if (IsShared(relative, folders)) LinkOrCopy(file, partial / relative);
    }
    for (const ChangedComponent& component : changed) {
      fs::create_directories(partial / component.folder);
      WriteSafetensors(partial / component.folder / component.weights_file,
                       InDtype(component.weights, dtype), {{"format", "pt"}}, poll);
      if (!component.config) continue;
      const fs::path config = partial / component.folder / "config.json";
      fs::remove(config);  // which may be the base's own
      std::ofstream file(config);
      file << *component.config;
      if (!file.flush()) throw WriteError("the model could not be written", errno);
    }
    if (finish) finish(partial);
  });
}

}  // namespace likeness

#include "worker/exports/personalized_model.h"

#include <algorithm>
#include <fstream>

#include "third_party/nlohmann/json.hpp"
#include "worker/base/error.h"
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

NamedTensors InDtype(const NamedTensors& tensors, torch::ScalarType dtype) {
  NamedTensors converted;
  for (const auto& [name, tensor] : tensors) {
    if (!tensor.is_floating_point()) {
      converted.emplace_back(name, tensor);
      continue;
    }
    converted.emplace_back(name, tensor.to(dtype));
    if (!converted.back().second.isfinite().all().item<bool>()) {
      throw Error(ErrorKind::kFailedPrecondition,
                  "weight " + name + " has values that 16 bits do not hold; save as fp32");
    }
  }
  return converted;
}

}  // namespace

bool IsShared(const fs::path& relative, const std::vector<std::string>& changed) {
  const std::string extension = relative.extension();
  const bool weights =
      extension == ".safetensors" || relative.string().ends_with(".safetensors.index.json");
  if (!weights && extension != ".json" && extension != ".txt") return false;
  if (!relative.has_parent_path()) return !weights && relative != kCardFile;
  return !weights || std::find(changed.begin(), changed.end(), *relative.begin()) == changed.end();
}

void WritePersonalizedModel(const fs::path& base, const fs::path& out,
                            const std::vector<ChangedComponent>& changed, torch::ScalarType dtype,
                            const nlohmann::json& card) {
  if (fs::exists(out))
    throw Error(ErrorKind::kFailedPrecondition, "the directory for the result is there already");
  fs::path partial = out;
  partial += ".partial";
  try {
    fs::remove_all(partial);
    fs::create_directories(partial);
    std::vector<std::string> folders;
    for (const ChangedComponent& component : changed) folders.push_back(component.folder);
    for (const auto& [relative, file] : FilesOfModel(base)) {
      if (IsShared(relative, folders)) LinkOrCopy(file, partial / relative);
    }
    for (const ChangedComponent& component : changed) {
      fs::create_directories(partial / component.folder);
      WriteSafetensors(partial / component.folder / component.weights_file,
                       InDtype(component.weights, dtype), {{"format", "pt"}});
    }
    std::ofstream card_file(partial / kCardFile);
    card_file << card.dump(2) << "\n";
    if (!card_file.flush()) throw Error(ErrorKind::kResourceExhausted, "no room for the card");
    fs::rename(partial, out);
  } catch (const fs::filesystem_error& error) {
    const bool full = error.code() == std::errc::no_space_on_device;
    throw Error(full ? ErrorKind::kResourceExhausted : ErrorKind::kInternal,
                "the personalized model could not be written: " + error.code().message());
  }
}

}  // namespace likeness

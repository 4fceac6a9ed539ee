#include "worker/checkpoints/component_files.h"

#include <optional>
#include <set>

#include "worker/base/error.h"
#include "worker/base/io/json_file.h"
#include "worker/checkpoints/checkpoint_keys.h"
#include "worker/checkpoints/file_kind.h"
#include "worker/checkpoints/refuse.h"

namespace likeness {
namespace {

namespace fs = std::filesystem;

// File name endings in the order to try them. "" is the variant without a name, in full precision.
std::vector<std::string> Variants(torch::ScalarType dtype) {
  if (dtype == torch::kFloat16) return {".fp16", "", ".bf16"};
  if (dtype == torch::kBFloat16) return {".bf16", "", ".fp16"};
  return {"", ".fp16", ".bf16"};
}

// The shards that an index names, each once. They lie beside the index and nowhere else.
std::vector<SafetensorsFile> OpenShards(const fs::path& index_path, const std::string& component) {
  const auto index = ReadJsonFile(index_path);
  std::set<std::string> names;
  try {
    for (const auto& [key, file] : index.at("weight_map").items()) names.insert(file);
  } catch (const nlohmann::json::exception&) {
    Refuse(component, index_path.filename().string() + " has no weight_map of file names");
  }
  std::vector<SafetensorsFile> files;
  for (const auto& name : names) {
    if (fs::path(name).filename() != name || !name.ends_with(".safetensors")) {
      Refuse(component, "the index names " + name + ", which is not a safetensors file beside it");
    }
    if (!fs::exists(index_path.parent_path() / name))
      Refuse(component, "shard " + name + " is missing");
    files.push_back(SafetensorsFile::Open(index_path.parent_path() / name));
  }
  return files;
}

std::optional<std::string> PickleFile(const fs::path& dir) {
  for (const auto& entry : fs::directory_iterator(dir)) {
    if (KindOfFile(entry) == FileKind::kPickle) return entry.path().filename().string();
  }
  return std::nullopt;
}

}  // namespace

std::vector<SafetensorsFile> OpenComponent(const fs::path& dir, const std::string& component,
                                           const std::string& stem, torch::ScalarType dtype) {
  for (const auto& variant : Variants(dtype)) {
    const auto whole = dir / (stem + variant + ".safetensors");
    if (fs::exists(whole)) return {SafetensorsFile::Open(whole)};
    for (const auto& name : {stem + ".safetensors.index" + variant + ".json",
                             stem + variant + ".safetensors.index.json"}) {
      if (fs::exists(dir / name)) return OpenShards(dir / name, component);
    }
  }
  if (const auto pickle = fs::is_directory(dir) ? PickleFile(dir) : std::nullopt) {
    Refuse(component, *pickle +
                          " is a pickle file, which can run any code when it is opened, and is "
                          "never read; convert it to " +
                          stem + ".safetensors");
  }
  Refuse(component, stem + ".safetensors is missing");
}

NamedTensors ReadComponent(const fs::path& dir, const std::string& component,
                           const std::string& stem, torch::ScalarType dtype) {
  NamedTensors tensors;
  for (const auto& file : OpenComponent(dir, component, stem, dtype)) {
    for (const auto& key : file.Names()) {
      if (const auto parameter = ParameterOfKey(component, key)) {
        tensors.emplace_back(*parameter, file.Get(key));
      }
    }
  }
  return tensors;
}

}  // namespace likeness

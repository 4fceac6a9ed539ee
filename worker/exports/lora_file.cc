#include "worker/exports/lora_file.h"

#include <algorithm>
#include <cmath>

#include "third_party/nlohmann/json.hpp"
#include "worker/base/error.h"
#include "worker/base/io/config_reader.h"

namespace likeness {
namespace {

constexpr const char* kMetadata = "lora_adapter_metadata";
constexpr const char* kDown = ".lora_A.weight";
constexpr const char* kUp = ".lora_B.weight";
// The longer first: a key begins with one of them and a point.
constexpr const char* kParts[] = {"unet", "text_encoder_2", "text_encoder"};

[[noreturn]] void Refuse(const std::string& why) {
  throw Error(ErrorKind::kFailedPrecondition, std::string(kDiffusersLoraFile) + ": " + why);
}

std::string PartOf(const std::string& key) {
  for (const char* part : kParts) {
    if (key.starts_with(std::string(part) + ".")) return part;
  }
  Refuse("key " + key + " belongs to no part that has updates");
}

LoraScale ReadScale(const SafetensorsFile& file, const std::string& part) {
  const auto found = file.metadata().find(kMetadata);
  if (found == file.metadata().end()) Refuse(std::string("has no ") + kMetadata);
  const auto json = nlohmann::json::parse(found->second, nullptr, /*allow_exceptions=*/false);
  if (!json.is_object()) Refuse(std::string(kMetadata) + " is no JSON object");
  ConfigReader reader(kMetadata, json);
  LoraScale scale;
  reader.ReadSize(part + ".r", scale.rank);
  scale.alpha = reader.Get<double>(part + ".lora_alpha");
  reader.Read(part + ".use_rslora", scale.rank_stabilized);
  return scale;
}

bool Agree(const LoraUpdate& update, int64_t rank) {
  const auto& down = update.down;
  const auto& up = update.up;
  return (down.dim() == 2 || down.dim() == 4) && up.dim() == down.dim() && down.size(0) == rank &&
         up.size(1) == rank && down.is_floating_point() && up.is_floating_point();
}

}  // namespace

double LoraScale::value() const {
  return alpha /
         (rank_stabilized ? std::sqrt(static_cast<double>(rank)) : static_cast<double>(rank));
}

void WriteDiffusersLora(const std::filesystem::path& file, const LoraWeights& weights) {
  NamedTensors tensors;
  for (const LoraUpdate& update : weights.updates) {
    tensors.emplace_back(update.part + "." + update.layer + kDown, update.down);
    tensors.emplace_back(update.part + "." + update.layer + kUp, update.up);
  }
  nlohmann::json metadata;
  for (const auto& [part, targets] : weights.targets) {
    metadata[part + ".r"] = weights.scale.rank;
    metadata[part + ".lora_alpha"] = weights.scale.alpha;
    metadata[part + ".use_rslora"] = weights.scale.rank_stabilized;
    metadata[part + ".target_modules"] = targets;
  }
  WriteSafetensors(file, tensors, {{"format", "pt"}, {kMetadata, metadata.dump()}});
}

LoraWeights ReadDiffusersLora(const std::filesystem::path& path) {
  const SafetensorsFile file = SafetensorsFile::Open(path);
  LoraWeights weights;
  for (const std::string& key : file.Names()) {
    if (!key.ends_with(kDown)) {
      if (!key.ends_with(kUp)) Refuse("key " + key + " is of no update");
      continue;
    }
    LoraUpdate update{.part = PartOf(key), .layer = {}, .down = file.Get(key), .up = {}};
    const std::string name = key.substr(0, key.size() - std::string(kDown).size());
    if (!file.Contains(name + kUp)) Refuse("key " + name + kUp + " is missing");
    update.up = file.Get(name + kUp);
    update.layer = name.substr(update.part.size() + 1);
    if (weights.updates.empty()) weights.scale = ReadScale(file, update.part);
    if (!Agree(update, weights.scale.rank)) {
      Refuse("the tensors of " + name + " are not of rank " + std::to_string(weights.scale.rank));
    }
    weights.updates.push_back(std::move(update));
  }
  if (weights.updates.empty()) Refuse("has no updates");
  if (file.Names().size() != 2 * weights.updates.size()) Refuse("has an update without its half");
  return weights;
}

}  // namespace likeness

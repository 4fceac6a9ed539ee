#include "worker/exports/lora_file.h"

#include <cmath>
#include <string_view>
#include <utility>

#include "third_party/nlohmann/json.hpp"
#include "worker/base/error.h"
#include "worker/base/io/config_reader.h"

namespace likeness {
namespace {

constexpr const char* kMetadata = "lora_adapter_metadata";
constexpr const char* kMinRank = "unet.min_rank";
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

nlohmann::json MetadataOf(const SafetensorsFile& file) {
  const auto found = file.metadata().find(kMetadata);
  if (found == file.metadata().end()) Refuse(std::string("has no ") + kMetadata);
  auto json = nlohmann::json::parse(found->second, nullptr, /*allow_exceptions=*/false);
  if (!json.is_object()) Refuse(std::string(kMetadata) + " is no JSON object");
  return json;
}

LoraScale ReadScale(const nlohmann::json& metadata, const std::string& part) {
  ConfigReader reader(kMetadata, metadata);
  LoraScale scale;
  reader.ReadSize(part + ".r", scale.rank);
  scale.alpha = reader.Get<double>(part + ".lora_alpha");
  reader.Read(part + ".use_rslora", scale.rank_stabilized);
  return scale;
}

// What the metadata says of one layer.
int64_t StatedRank(const nlohmann::json& metadata, const std::string& part,
                   const std::string& layer, int64_t of_others) {
  const auto pattern = metadata.find(part + ".rank_pattern");
  if (pattern == metadata.end()) return of_others;
  try {
    return pattern->value(PeftTarget(layer), of_others);
  } catch (const nlohmann::json::exception&) {
    Refuse(part + ".rank_pattern in its metadata has a value of a wrong type");
  }
}

bool Agree(const LoraFactors& factors, int64_t rank) {
  const auto& a = factors.at(kLoraDown);
  const auto& b = factors.at(kLoraUp);
  return (a.dim() == 2 || a.dim() == 4) && b.dim() == a.dim() && a.size(0) == rank &&
         b.size(1) == rank && a.is_floating_point() && b.is_floating_point();
}

// Where the name of the factor begins in a key of the file; 0 if there is none.
size_t FactorIn(const std::string& key) {
  for (const char* factor : {kLoraDown, kLoraUp, kDoraMagnitude}) {
    if (key.ends_with(std::string(".") + factor)) return key.size() - std::string(factor).size();
  }
  return 0;
}

}  // namespace

std::string PeftTarget(const std::string& layer) {
  constexpr std::string_view kTower = "text_model.";
  return layer.starts_with(kTower) ? layer.substr(kTower.size()) : layer;
}

double LoraScale::value() const {
  return alpha /
         (rank_stabilized ? std::sqrt(static_cast<double>(rank)) : static_cast<double>(rank));
}

double LoraWeights::ScaleOf(const LoraUpdate& update) const {
  LoraScale own = scale;
  if (update.Rank() > 0) own.rank = update.Rank();
  return own.value();
}

int64_t RankOf(const LoraFactors& factors) {
  for (const char* name : {kLoraDown, "hada_w1_b", "lokr_w2_b"}) {
    if (const auto found = factors.find(name); found != factors.end() && found->second.dim() > 0) {
      return found->second.size(0);
    }
  }
  return 0;
}

void WriteDiffusersLora(const std::filesystem::path& file, const LoraWeights& weights) {
  NamedTensors tensors;
  bool dora = false;
  for (const LoraUpdate& update : weights.updates) {
    for (const auto& [factor, value] : update.factors) {
      tensors.emplace_back(update.part + "." + update.layer + "." + factor, value);
      dora = dora || factor == kDoraMagnitude;
    }
  }
  nlohmann::json metadata;
  for (const auto& [part, targets] : weights.targets) {
    metadata[part + ".r"] = weights.scale.rank;
    metadata[part + ".lora_alpha"] = weights.scale.alpha;
    metadata[part + ".use_rslora"] = weights.scale.rank_stabilized;
    metadata[part + ".target_modules"] = targets;
    if (dora) metadata[part + ".use_dora"] = true;
  }
  for (const LoraUpdate& update : weights.updates) {
    if (update.Rank() == 0 || update.Rank() == weights.scale.rank) continue;
    metadata[update.part + ".rank_pattern"][PeftTarget(update.layer)] = update.Rank();
  }
  if (weights.min_rank) metadata[kMinRank] = *weights.min_rank;
  WriteSafetensors(file, tensors, {{"format", "pt"}, {kMetadata, metadata.dump()}});
}

std::optional<int64_t> ReadMinRank(const SafetensorsFile& file) {
  if (!file.metadata().contains(kMetadata)) return std::nullopt;
  const auto json = MetadataOf(file);
  if (!json.contains(kMinRank)) return std::nullopt;
  ConfigReader reader(kMetadata, json);
  int64_t min_rank = 0;
  reader.ReadSize(kMinRank, min_rank);
  return min_rank;
}

LoraWeights ReadDiffusersLora(const std::filesystem::path& path) {
  const SafetensorsFile file = SafetensorsFile::Open(path);
  std::map<std::string, LoraFactors> layers;
  for (const std::string& key : file.Names()) {
    const size_t factor = FactorIn(key);
    if (factor == 0) Refuse("key " + key + " is of no update");
    layers[key.substr(0, factor - 1)][key.substr(factor)] = file.Get(key);
  }
  LoraWeights weights;
  nlohmann::json metadata;
  for (auto& [name, factors] : layers) {
    const std::string part = PartOf(name);
    for (const char* factor : {kLoraDown, kLoraUp}) {
      if (!factors.contains(factor)) Refuse("key " + name + "." + factor + " is missing");
    }
    if (weights.updates.empty()) {
      metadata = MetadataOf(file);
      weights.scale = ReadScale(metadata, part);
    }
    const std::string layer = name.substr(part.size() + 1);
    const int64_t rank = StatedRank(metadata, part, layer, weights.scale.rank);
    if (!Agree(factors, rank)) {
      Refuse("the tensors of " + name + " are not of rank " + std::to_string(rank));
    }
    weights.updates.push_back({part, layer, std::move(factors)});
  }
  if (weights.updates.empty()) Refuse("has no updates");
  weights.min_rank = ReadMinRank(file);
  if (weights.min_rank > weights.scale.rank) {
    Refuse(std::string(kMinRank) + " is " + std::to_string(*weights.min_rank) +
           "; 1 to the rank, " + std::to_string(weights.scale.rank) + ", is allowed");
  }
  return weights;
}

}  // namespace likeness

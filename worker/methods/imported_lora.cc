#include "worker/methods/imported_lora.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <optional>
#include <utility>
#include <vector>

#include "common/number_text.h"
#include "third_party/nlohmann/json.hpp"
#include "worker/base/error.h"
#include "worker/methods/lora_directory.h"
#include "worker/methods/lora_variants.h"
#include "worker/nn/hookable_layers.h"

namespace likeness {
namespace {

constexpr const char* kLoraMetadata = "lora_adapter_metadata";
constexpr const char* kPeftPrefix = "base_model.model.";
constexpr const char* kTextModel = "text_model.";
constexpr const char* kLycorisMagnitude = ".dora_scale";

[[noreturn]] void RefuseImport(const std::string& why) {
  throw Error(ErrorKind::kFailedPrecondition, "the file cannot be imported: " + why);
}

// How the ends of keys are called here. The longer first where one ends with another.
struct FactorName {
  const char* ending;
  const char* factor;  // as in lora_file.h; "alpha", or a part of a factor
};
constexpr FactorName kFactorNames[] = {
    {".lora_A.weight", kLoraDown},
    {".lora_B.weight", kLoraUp},
    {".lora_A.default.weight", kLoraDown},
    {".lora_B.default.weight", kLoraUp},
    {".lora_magnitude_vector.default.weight", kDoraMagnitude},
    {".lora_magnitude_vector.weight", kDoraMagnitude},
    {".lora_magnitude_vector", kDoraMagnitude},
    {".lora_down.weight", kLoraDown},
    {".lora_up.weight", kLoraUp},
    {".lora.down.weight", kLoraDown},
    {".lora.up.weight", kLoraUp},
    {".lora_linear_layer.down.weight", kLoraDown},
    {".lora_linear_layer.up.weight", kLoraUp},
    {kLycorisMagnitude, kDoraMagnitude},
    {".hada_w1_a", "hada_w1_a"},
    {".hada_w1_b", "hada_w1_b"},
    {".hada_w2_a", "hada_w2_a"},
    {".hada_w2_b", "hada_w2_b"},
    {".lokr_w1_a", "lokr_w1_a"},
    {".lokr_w1_b", "lokr_w1_b"},
    {".lokr_w2_a", "lokr_w2_a"},
    {".lokr_w2_b", "lokr_w2_b"},
    {".lokr_w1", kLokrFirst},
    {".lokr_w2", kLokrSecond},
    {".alpha", "alpha"},
};

const FactorName* FactorOf(const std::string& key) {
  for (const FactorName& name : kFactorNames) {
    if (key.ends_with(name.ending)) return &name;
  }
  return nullptr;
}

// A layer of the model by each of the names that it has in files.
struct NamedLayer {
  std::string part;
  HookableLayer layer;
};

std::map<std::string, NamedLayer> LayersByName(const Family& model) {
  std::map<std::string, NamedLayer> names;
  KohyaModel kohya = KohyaModelOf(model);
  for (const Part& part : model.Parts()) {
    if (part.role == Role::kAutoencoder) continue;
    for (const HookableLayer& layer : LayersOf(*part.module)) {
      const NamedLayer named{part.name, layer};
      names[part.name + "." + layer.name] = named;
      // Some programs leave out the tower's name, others the part's.
      if (layer.name.starts_with(kTextModel)) {
        names[part.name + "." + layer.name.substr(std::string(kTextModel).size())] = named;
      }
      names.try_emplace(kPeftPrefix + layer.name, named);
      names.try_emplace(layer.name, named);
      for (const bool original_names : {true, false}) {
        KohyaModel other = kohya;
        other.xl = original_names && kohya.xl;
        if (part.name != "unet") other.xl = kohya.xl;
        names[KohyaName(part.name, layer.name, other)] = named;
      }
    }
  }
  return names;
}

struct ReadUpdate {
  NamedLayer layer;
  std::string name;  // in the file
  std::map<std::string, torch::Tensor> factors;
  std::optional<double> alpha;
};

// LyCORIS with wd_on_out=False has the norm of what each input adds, [1, in, ...]; ours and peft's
// are of outputs.
void RefuseMagnitudesOfInputs(const std::string& key, const torch::Tensor& value,
                              const torch::Tensor& weight) {
  if (value.dim() < 2 || value.size(0) != 1 || value.size(1) == 1) return;
  if (value.size(1) != weight.size(1)) return;
  RefuseImport(
      "key " + key +
      " holds a magnitude for each input of the layer (LyCORIS with wd_on_out=False), which "
      "is not supported; one for each output is");
}

// By the layer's own name.
std::map<std::string, ReadUpdate> ReadUpdates(const Family& model, const SafetensorsFile& file) {
  const auto layers = LayersByName(model);
  std::map<std::string, ReadUpdate> updates;
  for (const std::string& key : file.Names()) {
    const FactorName* factor = FactorOf(key);
    if (factor == nullptr) RefuseImport("key " + key + " is of no factor that is known");
    const std::string name = key.substr(0, key.size() - std::string(factor->ending).size());
    const auto layer = layers.find(name);
    if (layer == layers.end()) {
      RefuseImport("key " + key + " is of no layer of the base model that may have an update");
    }
    ReadUpdate& update = updates[layer->second.part + "/" + layer->second.layer.name];
    if (!update.name.empty() && update.name != name) {
      RefuseImport("keys " + update.name + " and " + name + " are of one layer");
    }
    update.layer = layer->second;
    update.name = name;
    torch::Tensor value = file.Get(key);
    // Nothing is computed in 8 bits.
    if (value.scalar_type() == torch::kFloat8_e4m3fn) value = value.to(torch::kFloat32);
    if (value.numel() == 0) {
      RefuseImport("key " + key + " holds no numbers; an update has a rank of 1 or more");
    }
    if (!value.is_floating_point() && factor->factor != std::string("alpha")) {
      RefuseImport("key " + key + " holds no floating-point numbers");
    }
    if (factor->factor == std::string("alpha")) {
      if (value.numel() != 1) RefuseImport("key " + key + " holds more than one number");
      update.alpha = value.to(torch::kFloat64).item<double>();
      if (*update.alpha == 0) RefuseImport("key " + key + " is 0: the update would change nothing");
    } else {
      if (factor->ending == std::string(kLycorisMagnitude)) {
        RefuseMagnitudesOfInputs(key, value, layer->second.layer.weight);
      }
      update.factors[factor->factor] = value;
    }
  }
  if (updates.empty()) RefuseImport("it has no updates");
  return updates;
}

// LoKr's first factor may be a product, too. Where the second is none, the rank is the first's, and
// LyCORIS divides alpha by it.
void MultiplyFirstFactor(ReadUpdate& update) {
  auto& factors = update.factors;
  const auto a = factors.find("lokr_w1_a"), b = factors.find("lokr_w1_b");
  if (a == factors.end() || b == factors.end()) return;
  const torch::Tensor left = a->second.to(torch::kFloat32), right = b->second.to(torch::kFloat32);
  if (left.dim() != 2 || right.dim() != 2 || left.size(1) != right.size(0)) {
    RefuseImport("keys " + update.name + ".lokr_w1_a and lokr_w1_b are no factors of one matrix");
  }
  const bool has_the_rank = factors.contains(kLokrSecond) && update.alpha;
  const double scale = has_the_rank ? *update.alpha / static_cast<double>(right.size(0)) : 1;
  factors[kLokrFirst] = torch::mm(left, right) * scale;
  factors.erase("lokr_w1_a");
  factors.erase("lokr_w1_b");
}

// Magnitudes as peft has them.
void ShapeMagnitude(const HookableLayer& layer, std::map<std::string, torch::Tensor>& factors) {
  const auto magnitude = factors.find(kDoraMagnitude);
  if (magnitude == factors.end() || magnitude->second.numel() != layer.weight.size(0)) return;
  magnitude->second = layer.weight.dim() == 4 ? magnitude->second.reshape({1, -1, 1, 1})
                                              : magnitude->second.reshape({-1});
}

const LoraVariantRow& VariantOf(const ReadUpdate& update) {
  try {
    return RowOf(update.factors);
  } catch (const Error&) {
    RefuseImport("the update of " + update.name + " has not the factors of any kind");
  }
}

// What the metadata of diffusers says of each part's scale.
std::map<std::string, LoraScale> ScalesOf(const SafetensorsFile& file) {
  std::map<std::string, LoraScale> scales;
  const auto found = file.metadata().find(kLoraMetadata);
  if (found == file.metadata().end()) return scales;
  const auto json = nlohmann::json::parse(found->second, nullptr, /*allow_exceptions=*/false);
  if (!json.is_object()) RefuseImport(std::string(kLoraMetadata) + " is no JSON object");
  for (const char* part : {"unet", "text_encoder", "text_encoder_2"}) {
    const std::string prefix = std::string(part) + ".";
    try {
      if (!json.contains(prefix + "lora_alpha")) continue;
      if (!json.value(prefix + "alpha_pattern", nlohmann::json::object()).empty()) {
        RefuseImport(prefix + "alpha_pattern in its metadata is not supported");
      }
      const double alpha = json.at(prefix + "lora_alpha").get<double>();
      if (alpha == 0 || !std::isfinite(static_cast<float>(alpha))) {
        RefuseImport(prefix + "lora_alpha in its metadata is " + NumberText(alpha) +
                     "; a number of 32 bits other than 0, which would change nothing, is allowed");
      }
      scales[part] = {
          .rank = 0, .alpha = alpha, .rank_stabilized = json.value(prefix + "use_rslora", false)};
    } catch (const nlohmann::json::exception&) {
      RefuseImport(std::string(kLoraMetadata) + " has a value of a wrong type");
    }
  }
  return scales;
}

// The update's scale in the file's own terms; where no factor has a rank there is none.
double ScaleOf(const ReadUpdate& update, int64_t rank,
               const std::map<std::string, LoraScale>& scales) {
  if (rank == 0) return 1;
  if (update.alpha) return *update.alpha / static_cast<double>(rank);
  const auto said = scales.find(update.layer.part);
  if (said == scales.end()) return 1;
  LoraScale scale = said->second;
  scale.rank = rank;
  return scale.value();
}

// Of alphas, which files hold in float32.
bool Near(double a, double b) { return std::abs(a - b) <= 1e-6 * std::abs(b); }

void FillUp(std::map<std::string, torch::Tensor>& factors, int64_t rank) {
  constexpr std::pair<const char*, int64_t> kRanked[] = {
      {kLoraDown, 0},   {kLoraUp, 1},     {"hada_w1_a", 1}, {"hada_w1_b", 0},
      {"hada_w2_a", 1}, {"hada_w2_b", 0}, {"lokr_w2_a", 1}, {"lokr_w2_b", 0}};
  for (const auto& [name, dimension] : kRanked) {
    if (const auto found = factors.find(name); found != factors.end()) {
      found->second = FilledUp(found->second, dimension, rank);
    }
  }
}

std::string LayoutOf(const SafetensorsFile& file) {
  const std::string first = file.Names().front();
  if (first.starts_with("lora_")) return "kohya";
  return first.starts_with(kPeftPrefix) ? "peft" : "diffusers";
}

torch::ScalarType DtypeOf(const LoraWeights& weights) {
  for (const LoraUpdate& update : weights.updates) {
    for (const auto& [name, factor] : update.factors) {
      // Magnitudes are written in float32 whatever the others are.
      if (name != kDoraMagnitude && factor.scalar_type() != torch::kFloat16) return torch::kFloat32;
    }
  }
  return torch::kFloat16;
}

// T-LoRA's ranks act in their order: zeros among them would be others.
void CheckMinRank(const LoraWeights& weights, const LoraVariantRow& variant, bool same_rank) {
  const std::string named = "its metadata has a min_rank (T-LoRA), ";
  if (variant.variant != LoraVariant::kLora) RefuseImport(named + "which is of plain LoRA alone");
  if (!same_rank) RefuseImport(named + "and its updates have different ranks");
  if (*weights.min_rank > weights.scale.rank) {
    RefuseImport(named + std::to_string(*weights.min_rank) + ", above its rank, " +
                 std::to_string(weights.scale.rank));
  }
}

}  // namespace

bool IsLora(const SafetensorsFile& file) {
  for (const std::string& key : file.Names()) {
    const FactorName* factor = FactorOf(key);
    if (factor != nullptr && factor->factor != std::string("alpha")) return true;
  }
  return false;
}

ImportedLora ReadAnyLora(const Family& model, const SafetensorsFile& file) {
  torch::NoGradGuard no_grad;
  ImportedLora imported{.weights = {}, .layout = LayoutOf(file)};
  const auto scales = ScalesOf(file);
  auto updates = ReadUpdates(model, file);
  int64_t most = 0;
  bool alike = true;      // in rank and scale
  bool same_rank = true;  // in rank
  bool same_alpha = true;
  std::optional<double> common, alpha;
  const LoraVariantRow* variant = nullptr;
  for (auto& [name, update] : updates) {
    MultiplyFirstFactor(update);
    ShapeMagnitude(update.layer.layer, update.factors);
    const auto& [part, layer] = update.layer;
    const LoraVariantRow& row = VariantOf(update);
    if (!row.fits(layer.weight.sizes(), update.factors)) {
      RefuseImport("the update of " + update.name + " does not fit the layer " + part + "/" +
                   layer.name + " of the base model");
    }
    if (variant != nullptr && variant != &row) {
      RefuseImport("it has updates of several kinds; that of " + update.name + " is another");
    }
    variant = &row;
    const int64_t rank = RankOf(update.factors);
    if (rank == 0) continue;
    const double scale = ScaleOf(update, rank, scales);
    alike = alike && (most == 0 || (rank == most && scale == common.value_or(scale)));
    same_rank = same_rank && (most == 0 || rank == most);
    const double own_alpha = scale * static_cast<double>(rank);
    same_alpha = same_alpha && row.begins_as_zeros == std::string(kLoraUp) &&
                 (most == 0 || Near(own_alpha, *alpha));
    if (most == 0) alpha = own_alpha;
    common = scale;
    most = std::max(most, rank);
  }
  auto& weights = imported.weights;
  weights.scale.rank = std::max<int64_t>(most, 1);
  weights.scale.alpha = static_cast<double>(weights.scale.rank) * (alike ? common.value_or(1) : 1);
  if (!alike && same_alpha && alpha) {  // ranks of their own, as LoraWeights has them
    weights.scale.alpha = *alpha;
    alike = true;
  }
  for (auto& [name, update] : updates) {
    const int64_t rank = RankOf(update.factors);
    if (rank > 0 && !alike) {
      const double scale = ScaleOf(update, rank, scales);
      torch::Tensor& factor = update.factors.contains(kLoraUp)       ? update.factors[kLoraUp]
                              : update.factors.contains("hada_w1_a") ? update.factors["hada_w1_a"]
                                                                     : update.factors["lokr_w2_a"];
      factor = factor.to(torch::kFloat32) * scale;
      FillUp(update.factors, weights.scale.rank);
    }
    weights.targets[update.layer.part].push_back(PeftTarget(update.layer.layer.name));
    weights.updates.push_back(
        {update.layer.part, update.layer.layer.name, std::move(update.factors)});
  }
  weights.min_rank = ReadMinRank(file);
  if (weights.min_rank) CheckMinRank(weights, *variant, same_rank);
  imported.dtype = DtypeOf(weights);
  return imported;
}

}  // namespace likeness

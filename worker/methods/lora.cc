#include "worker/methods/lora.h"

#include <cmath>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "third_party/nlohmann/json.hpp"
#include "worker/base/error.h"
#include "worker/base/number_text.h"
#include "worker/exports/lora_file.h"
#include "worker/exports/model_directory.h"
#include "worker/methods/adapter_training.h"
#include "worker/methods/imported_lora.h"
#include "worker/methods/layer_update.h"
#include "worker/methods/lora_variants.h"
#include "worker/training/training_rng.h"

namespace likeness {
namespace {

// Where the attention of CLIP's text tower has its weights.
const std::vector<std::string> kTextTargets = {"q_proj", "k_proj", "v_proj", "out_proj"};

struct NewUpdates {
  LoraWeights weights;
  std::vector<HookableLayer> layers;  // of the updates, in their order
  std::vector<TrainedPart> parts;
  std::vector<torch::nn::Module*> modules;
};

std::string TrainedName(const LoraUpdate& update, const std::string& factor) {
  return update.part + "/" + update.layer + "." + factor;
}

// Null where all ranks act.
std::shared_ptr<TimestepRanks> RanksOf(const LoraWeights& weights, const Family& model) {
  if (!weights.min_rank) return nullptr;
  return std::make_shared<TimestepRanks>(*weights.min_rank, weights.scale.rank,
                                         model.schedule().num_train_timesteps());
}

// Denoisers first, then the text encoders; in each the layers by name.
NewUpdates MakeUpdates(Family& model, const MethodSpec& spec) {
  torch::NoGradGuard no_grad;
  const LoraOptions& options = spec.lora;
  const LoraVariantRow& variant = RowOf(options.variant);
  NewUpdates made{.weights = {.scale = {options.rank, options.alpha, options.rank_stabilized},
                              .min_rank = options.min_rank,
                              .updates = {},
                              .targets = {}},
                  .layers = {},
                  .parts = {},
                  .modules = {}};
  at::Generator generator = StepGenerator(spec.seed, kBeforeFirstStep);
  const auto add = [&](const Part& part, const std::vector<std::string>& targets, double rate) {
    const bool text = part.role == Role::kTextEncoder;
    TrainedPart trained{part.name, {}, rate, text};
    TrainedPart faster{part.name, {}, rate * options.up_learning_rate_ratio, text};
    // An error of a magnitude is one of a whole row of the layer's weight.
    TrainedPart exact{part.name, {}, rate, text, /*exact=*/true};
    for (const HookableLayer& layer : LayersOf(*part.module)) {
      if (!IsTarget(layer.name, targets)) continue;
      LoraUpdate update{part.name, layer.name, {}};
      for (auto& [name, value] : variant.begin(layer.weight, options, generator)) {
        const bool fast = name == variant.begins_as_zeros && options.up_learning_rate_ratio != 1;
        const auto factor = value.to(layer.weight.options().dtype(torch::kFloat32));
        TrainedPart& of = name == kDoraMagnitude ? exact : fast ? faster : trained;
        of.parameters.emplace_back(layer.name + "." + name, factor);
        update.factors[name] = factor;
      }
      made.weights.updates.push_back(std::move(update));
      made.layers.push_back(layer);
    }
    if (trained.parameters.empty()) {
      throw Error(ErrorKind::kInvalidArgument,
                  "lora.targets name no layer of the model's " + part.name);
    }
    made.parts.push_back(std::move(trained));
    for (TrainedPart* other : {&faster, &exact}) {
      if (!other->parameters.empty()) made.parts.push_back(std::move(*other));
    }
    made.weights.targets[part.name] = targets;
    made.modules.push_back(part.module);
  };
  for (const Part& part : DenoisersOf(model)) add(part, options.targets, spec.learning_rate);
  for (const Part& part : model.Parts()) {
    if (part.role == Role::kTextEncoder && spec.text_encoder_learning_rate) {
      add(part, kTextTargets, *spec.text_encoder_learning_rate);
    }
  }
  return made;
}

class LoraTraining : public AdapterTraining {
 public:
  LoraTraining(NewUpdates made, const Family& model, const MethodSpec& spec)
      : AdapterTraining(made.parts, made.modules, spec.compute),
        weights_(std::move(made.weights)),
        dropout_(spec.lora.dropout) {
    const auto change = RowOf(spec.lora.variant).change;
    const double scale = weights_.scale.value();
    const auto ranks = RanksOf(weights_, model);
    for (size_t i = 0; i < made.layers.size(); ++i) {
      const HookableLayer& layer = made.layers[i];
      const LoraFactors& factors = weights_.updates[i].factors;
      if (change == nullptr) {
        layers_.push_back(std::make_unique<LowRankUpdate>(layer, factors.at(kLoraDown),
                                                          factors.at(kLoraUp), scale, ranks));
      } else {
        layers_.push_back(
            std::make_unique<WeightUpdate>(layer, [change, scale, factors, weight = layer.weight] {
              return change(weight, factors, scale);
            }));
      }
    }
  }

  void BeginStep(const at::Generator& generator) override {
    if (dropout_ == 0) return;
    for (auto& layer : layers_) layer->DropInputs(dropout_, generator);
  }

  // Inputs of text encoders' layers are dropped in every step.
  bool text_encoders_rest() const override {
    return AdapterTraining::text_encoders_rest() && dropout_ == 0;
  }

  // What is trained, in float32.
  LoraWeights Trained() const {
    LoraWeights trained = weights_;
    for (LoraUpdate& update : trained.updates) {
      for (auto& [name, factor] : update.factors) factor = Master(TrainedName(update, name));
    }
    return trained;
  }

 private:
  LoraWeights weights_;
  std::vector<std::unique_ptr<LayerUpdate>> layers_;
  double dropout_;
};

LoraWeights InSavedDtype(LoraWeights weights, torch::ScalarType dtype) {
  if (dtype == torch::kFloat8_e4m3fn) return weights;  // InFloat8's
  for (LoraUpdate& update : weights.updates) {
    for (auto& [name, factor] : update.factors) {
      // Magnitudes are few, and an error of one is an error of a whole row of the layer's weight.
      const auto saved = name == kDoraMagnitude ? torch::kFloat32 : dtype;
      factor = InDtype({{TrainedName(update, name), factor}}, saved)[0].second.cpu();
    }
  }
  return weights;
}

// All layers that may have an update, by what kohya calls them.
std::map<std::string, std::pair<std::string, std::string>> KohyaLayers(const Family& model) {
  const KohyaModel kohya = KohyaModelOf(model);
  std::map<std::string, std::pair<std::string, std::string>> layers;
  for (const Part& part : model.Parts()) {
    if (part.role == Role::kAutoencoder) continue;
    for (const auto& layer : LayersOf(*part.module)) {
      layers[KohyaName(part.name, layer.name, kohya)] = {part.name, layer.name};
    }
  }
  return layers;
}

LoraWeights ReadLora(const Family& model, const std::filesystem::path& directory) {
  if (std::filesystem::exists(directory / kLycorisFile)) {
    return ReadLycoris(directory / kLycorisFile, KohyaLayers(model));
  }
  return ReadDiffusersLora(directory / (IsTLora(directory) ? kTLoraFile : kDiffusersLoraFile));
}

// LibTorch compares no 8-bit floats, and imports read them in float32, which holds them exactly.
bool Equal(const torch::Tensor& read, const torch::Tensor& written) {
  if (written.scalar_type() != torch::kFloat8_e4m3fn) return torch::equal(read, written);
  return torch::equal(read.to(torch::kFloat32), written.to(torch::kFloat32));
}

// What tools will read is what was meant to be written.
void CheckWritten(const LoraWeights& written, const LoraWeights& read) {
  const auto name = [](const LoraUpdate& update) { return update.part + "/" + update.layer; };
  std::map<std::string, const LoraUpdate*> by_name;
  bool ranked = false;  // a scale is read where there is a rank
  for (const auto& update : read.updates) {
    by_name[name(update)] = &update;
    ranked = ranked || !update.factors.contains(kLokrSecond);
  }
  bool same = read.updates.size() == written.updates.size() && read.min_rank == written.min_rank;
  if (ranked) {
    same = same && std::abs(read.scale.value() / written.scale.value() - 1) < 1e-6;
  }
  for (const auto& update : written.updates) {
    const auto found = by_name.find(name(update));
    same = same && found != by_name.end() && found->second->factors.size() == update.factors.size();
    for (const auto& [factor, value] : update.factors) {
      same = same && found->second->factors.contains(factor) &&
             Equal(found->second->factors.at(factor), value);
    }
  }
  if (!same) throw Error(ErrorKind::kInternal, "the adapter is not read back as it was written");
}

// An update with the layer that it is of.
struct FoundUpdate {
  LoraUpdate update;
  HookableLayer layer;
  const LoraVariantRow& variant;
  double scale;

  // What is added to the layer's weight, float32.
  torch::Tensor Change() const {
    torch::NoGradGuard no_grad;
    LoraFactors factors = update.factors;
    for (auto& [name, factor] : factors) factor = factor.to(layer.weight.device());
    if (variant.change != nullptr) return variant.change(layer.weight, factors, scale);
    return (LowRankProduct(factors) * scale).view(layer.weight.sizes());
  }

  std::unique_ptr<LayerHook> Hook(double strength, std::shared_ptr<TimestepRanks> ranks) const {
    if (variant.change != nullptr) {
      return std::make_unique<WeightUpdate>(layer, Change() * strength);
    }
    const auto options = layer.weight.options();
    return std::make_unique<LowRankUpdate>(layer, update.factors.at(kLoraDown).to(options),
                                           update.factors.at(kLoraUp).to(options), scale * strength,
                                           std::move(ranks));
  }
};

std::vector<FoundUpdate> FindUpdates(const Family& model, const LoraWeights& weights) {
  std::map<std::string, HookableLayer> layers;
  for (const Part& part : model.Parts()) {
    for (const auto& layer : LayersOf(*part.module)) layers[part.name + "/" + layer.name] = layer;
  }
  std::vector<FoundUpdate> found;
  for (const LoraUpdate& update : weights.updates) {
    const std::string name = update.part + "/" + update.layer;
    const auto layer = layers.find(name);
    const LoraVariantRow& variant = RowOf(update.factors);
    if (layer == layers.end() || !variant.fits(layer->second.weight.sizes(), update.factors)) {
      throw Error(ErrorKind::kFailedPrecondition,
                  "the adapter has an update of " + name +
                      ", which this model does not have in this shape");
    }
    found.push_back({update, layer->second, variant, weights.scale.value()});
  }
  return found;
}

}  // namespace

bool IsTLora(const std::filesystem::path& directory) {
  return std::filesystem::exists(directory / kTLoraFile);
}

KohyaModel KohyaModelOf(const Family& model) {
  KohyaModel kohya;
  int64_t context = 0;
  for (const Part& part : model.Parts()) {
    if (part.name == "text_encoder_2") kohya.xl = true;
    if (part.role != Role::kDenoiser) continue;
    const auto config = nlohmann::json::parse(part.config);
    kohya.layers_per_block = config.at("layers_per_block").get<int64_t>();
    context = config.at("cross_attention_dim").get<int64_t>();
  }
  constexpr int64_t kOpenClip = 1024;  // Stable Diffusion 2's text tower
  const bool second = context == kOpenClip;
  const bool velocity = model.schedule().options().prediction_type == PredictionType::kV;
  kohya.version = kohya.xl ? "sdxl_base_v1-0" : !second ? "sd_v1" : velocity ? "sd_v2_v" : "sd_v2";
  return kohya;
}

std::unique_ptr<Attached> AttachLora(Family& model, const MethodSpec& spec) {
  return std::make_unique<LoraTraining>(MakeUpdates(model, spec), model, spec);
}

void WriteLoraFiles(Family& model, Attached& attached, torch::ScalarType dtype,
                    const std::filesystem::path& directory) {
  WriteLoraWeights(model, dynamic_cast<const LoraTraining&>(attached).Trained(), dtype, directory);
}

void WriteLoraWeights(const Family& model, const LoraWeights& exact, torch::ScalarType dtype,
                      const std::filesystem::path& directory) {
  const LoraWeights weights = InSavedDtype(exact, dtype);
  const LoraFactors& first = weights.updates.front().factors;
  const bool lycoris = !first.contains(kLoraDown);
  const bool t_lora = weights.min_rank.has_value();
  if (!lycoris) {
    WriteDiffusersLora(directory / (t_lora ? kTLoraFile : kDiffusersLoraFile), weights);
  }
  if (!t_lora) {
    WriteKohyaLora(directory / (lycoris ? kLycorisFile : kKohyaLoraFile), weights,
                   KohyaModelOf(model));
  }
  CheckWritten(weights, ReadLora(model, directory));
  if (lycoris || t_lora) return;
  const auto kohya = SafetensorsFile::Open(directory / kKohyaLoraFile);
  CheckWritten(weights, ReadAnyLora(model, kohya).weights);
}

void WriteLora(Family& model, Attached& attached, const WriteSpec& spec,
               const nlohmann::json& card) {
  MakeModelDirectory(spec.out, card, [&](const std::filesystem::path& partial) {
    WriteLoraFiles(model, attached, spec.dtype, partial);
  });
}

std::unique_ptr<AppliedAdapter> ApplyLora(Family& model, const std::filesystem::path& directory,
                                          double strength) {
  const LoraWeights weights = ReadLora(model, directory);
  const auto ranks = RanksOf(weights, model);
  std::vector<std::unique_ptr<LayerHook>> hooks;
  for (const FoundUpdate& found : FindUpdates(model, weights)) {
    if (strength != 0) hooks.push_back(found.Hook(strength, ranks));
  }
  return std::make_unique<AppliedHooks>(std::move(hooks));
}

void MergeLora(Family& model, const std::filesystem::path& directory, double strength,
               MergedAdapters& merged) {
  if (IsTLora(directory)) {
    throw Error(ErrorKind::kFailedPrecondition,
                "an update of T-LoRA acts otherwise at each timestep: it cannot be merged");
  }
  for (const FoundUpdate& found : FindUpdates(model, ReadLora(model, directory))) {
    if (strength == 0) continue;
    merged.Add(found.update.part + "/" + found.layer.name, found.Change() * strength);
  }
}

NamedTensors ReadTrainedLora(Family& model, Attached& attached,
                             const std::filesystem::path& directory) {
  const LoraWeights own = dynamic_cast<const LoraTraining&>(attached).Trained();
  const LoraWeights read = ReadLora(model, directory);
  if (read.min_rank != own.min_rank) {
    const auto text = [](const LoraWeights& weights) {
      return std::to_string(weights.min_rank.value_or(weights.scale.rank));
    };
    throw Error(ErrorKind::kFailedPrecondition,
                "its min_rank is " + text(read) + ", and these settings' " + text(own));
  }
  NamedTensors values;
  bool ranked = false;
  for (const LoraUpdate& update : read.updates) {
    const auto down = update.factors.find(kLoraDown);
    if (down != update.factors.end() && down->second.size(0) != own.scale.rank) {
      throw Error(ErrorKind::kFailedPrecondition,
                  "its rank is " + std::to_string(down->second.size(0)) + ", and these settings' " +
                      std::to_string(own.scale.rank));
    }
    ranked = ranked || !update.factors.contains(kLokrSecond);
    for (const auto& [factor, value] : update.factors) {
      values.emplace_back(TrainedName(update, factor), value);
    }
  }
  const double before = read.scale.value(), now = own.scale.value();
  if (ranked && std::abs(before / now - 1) > 1e-6) {
    throw Error(ErrorKind::kFailedPrecondition,
                "its updates are scaled by " + NumberText(before) +
                    ", and these settings scale by " + NumberText(now) +
                    "; the same rank, alpha and rank_stabilized are needed");
  }
  return values;
}

}  // namespace likeness

#include "worker/methods/lora.h"

#include <cmath>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "common/number_text.h"
#include "third_party/nlohmann/json.hpp"
#include "worker/base/error.h"
#include "worker/exports/lora_file.h"
#include "worker/exports/model_directory.h"
#include "worker/methods/adapter_training.h"
#include "worker/methods/layer_update.h"
#include "worker/methods/lora_directory.h"
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

// Null where all ranks act.
std::shared_ptr<TimestepRanks> RanksOf(const LoraWeights& weights, const Family& model) {
  if (!weights.min_rank) return nullptr;
  return std::make_shared<TimestepRanks>(*weights.min_rank, weights.scale.rank,
                                         model.schedule().num_train_timesteps());
}

struct TargetedPart {
  Part part;
  std::vector<std::string> targets;
  std::vector<HookableLayer> layers;  // by name; none where the targets name none
};

// Denoisers first, then the text encoders.
std::vector<TargetedPart> PartsToUpdate(const Family& model, const MethodSpec& spec) {
  std::vector<TargetedPart> parts;
  const auto add = [&](const Part& part, const std::vector<std::string>& targets) {
    parts.push_back({part, targets, LayersOf(*part.module)});
    std::erase_if(parts.back().layers,
                  [&](const auto& layer) { return !IsTarget(layer.name, targets); });
  };
  for (const Part& part : DenoisersOf(model)) add(part, spec.lora.targets);
  for (const Part& part : model.Parts()) {
    const bool trained = part.role == Role::kTextEncoder && spec.text_encoder_learning_rate;
    if (trained) add(part, kTextTargets);
  }
  return parts;
}

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
  for (const auto& [part, targets, layers] : PartsToUpdate(model, spec)) {
    if (layers.empty()) {
      throw Error(ErrorKind::kInvalidArgument,
                  "lora.targets name no layer of the model's " + part.name);
    }
    const bool text = part.role == Role::kTextEncoder;
    const double rate = text ? *spec.text_encoder_learning_rate : spec.learning_rate;
    TrainedPart trained{part.name, {}, rate, text};
    TrainedPart faster{part.name, {}, rate * options.up_learning_rate_ratio, text};
    // An error of a magnitude is one of a whole row of the layer's weight.
    TrainedPart exact{part.name, {}, rate, text, /*exact=*/true};
    for (const HookableLayer& layer : layers) {
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
    made.parts.push_back(std::move(trained));
    for (TrainedPart* other : {&faster, &exact}) {
      if (!other->parameters.empty()) made.parts.push_back(std::move(*other));
    }
    made.weights.targets[part.name] = targets;
    made.modules.push_back(part.module);
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
    found.push_back({update, layer->second, variant, weights.ScaleOf(update)});
  }
  return found;
}

}  // namespace

std::unique_ptr<Attached> AttachLora(Family& model, const MethodSpec& spec) {
  return std::make_unique<LoraTraining>(MakeUpdates(model, spec), model, spec);
}

TrainedMemory MemoryOfLora(const Family& model, const MethodSpec& spec) {
  TrainedMemory memory{.text_encoders = spec.text_encoder_learning_rate.has_value()};
  // What is no product of two factors is made as a change of the weight: the products, their
  // combination and the change.
  const int64_t kept = spec.lora.variant == LoraVariant::kLora ? 0 : 4;
  for (const TargetedPart& targeted : PartsToUpdate(model, spec)) {
    for (const HookableLayer& layer : targeted.layers) {
      memory.trained += MostNumbers(layer.weight.sizes(), spec.lora);
      memory.weight_changes += kept * layer.weight.numel();
    }
  }
  return memory;
}

void WriteLoraFiles(Family& model, Attached& attached, torch::ScalarType dtype,
                    const std::filesystem::path& directory) {
  WriteLoraWeights(model, dynamic_cast<const LoraTraining&>(attached).Trained(), dtype, directory);
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
    if (update.Rank() > 0 && read.scale.rank != own.scale.rank) {
      throw Error(ErrorKind::kFailedPrecondition, "its rank is " + std::to_string(read.scale.rank) +
                                                      ", and these settings' " +
                                                      std::to_string(own.scale.rank));
    }
    ranked = ranked || !update.factors.contains(kLokrSecond);
    for (const auto& [factor, value] : update.factors) {
      torch::Tensor whole = value;  // layers of a lower rank get the whole one
      if (factor == kLoraDown) whole = FilledUp(value, 0, own.scale.rank);
      if (factor == kLoraUp && update.Rank() < own.scale.rank) {
        const double scale = read.ScaleOf(update) / read.scale.value();
        whole = FilledUp(value.to(torch::kFloat32) * scale, 1, own.scale.rank);
      }
      values.emplace_back(TrainedName(update, factor), whole);
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

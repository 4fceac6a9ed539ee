#include "worker/methods/custom_diffusion.h"

#include <map>
#include <string>
#include <utility>
#include <vector>

#include "third_party/nlohmann/json.hpp"
#include "worker/base/error.h"
#include "worker/exports/custom_diffusion_file.h"
#include "worker/exports/embedding_file.h"
#include "worker/exports/model_directory.h"
#include "worker/methods/adapter_training.h"
#include "worker/methods/layer_update.h"
#include "worker/methods/textual_inversion.h"

namespace likeness {
namespace {

// The gradient of the first token, which begins every prompt, does not reach the projections
// (diffusers' CustomDiffusionAttnProcessor): what all prompts share is not to change.
class FirstTokenStays : public LayerHook {
 public:
  explicit FirstTokenStays(const HookableLayer& layer) : hooked_(*layer.hooks, *this) {}

  torch::Tensor After(const torch::Tensor&, torch::Tensor y_NSD) override {
    if (!torch::GradMode::is_enabled()) return y_NSD;
    return torch::cat({y_NSD.slice(1, 0, 1).detach(), y_NSD.slice(1, 1)}, 1);
  }

 private:
  HookedLayer hooked_;
};

std::vector<HookableLayer> CrossProjectionsOf(const Part& denoiser) {
  std::vector<HookableLayer> projections;
  for (const HookableLayer& layer : LayersOf(*denoiser.module)) {
    if (IsTarget(layer.name, {"attn2.to_k", "attn2.to_v"})) projections.push_back(layer);
  }
  return projections;
}

std::vector<TrainedPart> ProjectionParts(const Family& model, double learning_rate) {
  std::vector<TrainedPart> parts;
  for (const Part& part : DenoisersOf(model)) {
    TrainedPart trained{part.name, {}, learning_rate};
    for (const HookableLayer& layer : CrossProjectionsOf(part)) {
      trained.parameters.emplace_back(layer.name + ".weight", layer.weight);
    }
    parts.push_back(std::move(trained));
  }
  return parts;
}

class ProjectionTraining : public AdapterTraining {
 public:
  ProjectionTraining(const Family& model, const MethodSpec& spec)
      : AdapterTraining(ProjectionParts(model, spec.learning_rate), ModulesOf(DenoisersOf(model)),
                        spec.compute) {
    for (const Part& part : DenoisersOf(model)) {
      for (const HookableLayer& layer : CrossProjectionsOf(part)) {
        layers_.push_back(std::make_unique<FirstTokenStays>(layer));
      }
    }
  }

 private:
  std::vector<std::unique_ptr<FirstTokenStays>> layers_;
};

// Tokens begin as what the vocabulary has for them.
MethodSpec OfTokens(const Family& model, const MethodSpec& spec) {
  MethodSpec begun = spec;
  for (TextualInversionOptions& word : begun.words) {
    word.initial_text = word.token;
    word.vectors = static_cast<int64_t>(model.tokenizer().Encode(word.token).size());
    word.keep_norm = false;
  }
  return begun;
}

std::vector<WeightChange> ChangesOfProjections(const Family& model,
                                               const std::filesystem::path& file, double strength) {
  torch::NoGradGuard no_grad;
  const NamedTensors weights = ReadCustomDiffusion(file);
  std::map<std::string, WeightChange> layers;
  for (const Part& part : DenoisersOf(model)) {
    for (const HookableLayer& layer : CrossProjectionsOf(part)) {
      layers[layer.name] = {part.name, layer, {}};
    }
  }
  std::vector<WeightChange> changes;
  for (const auto& [name, weight] : weights) {
    const auto found = layers.find(name);
    if (found == layers.end() || found->second.layer.weight.sizes() != weight.sizes()) {
      throw Error(
          ErrorKind::kFailedPrecondition,
          "the adapter has weights of " + name + ", which this model does not have in this shape");
    }
    if (strength == 0) continue;
    WeightChange change = found->second;
    const auto& base = change.layer.weight;
    const auto options = base.options().dtype(torch::kFloat32);
    change.change = (weight.to(options) - base.to(options)) * strength;
    changes.push_back(std::move(change));
  }
  return changes;
}

}  // namespace

std::unique_ptr<Attached> AttachCustomDiffusion(Family& model, const MethodSpec& spec) {
  std::vector<std::unique_ptr<Attached>> methods;
  methods.push_back(std::make_unique<ProjectionTraining>(model, spec));
  if (spec.train_token) methods.push_back(AttachTextualInversion(model, OfTokens(model, spec)));
  return std::make_unique<CombinedTraining>(std::move(methods));
}

TrainedMemory MemoryOfCustomDiffusion(const Family& model, const MethodSpec& spec) {
  TrainedMemory memory{.text_encoders = spec.train_token};
  for (const Part& part : DenoisersOf(model)) {
    for (const HookableLayer& layer : CrossProjectionsOf(part)) {
      memory.trained += layer.weight.numel();
    }
  }
  return memory;
}

void WriteCustomDiffusion(Family& model, Attached& attached, const WriteSpec& spec,
                          const nlohmann::json& card) {
  auto& trained = dynamic_cast<CombinedTraining&>(attached);
  NamedTensors weights;
  std::vector<std::string> self_attention;
  for (const Part& part : DenoisersOf(model)) {
    const auto& projections = dynamic_cast<const AdapterTraining&>(trained.method(0));
    for (const HookableLayer& layer : CrossProjectionsOf(part)) {
      const auto value = projections.Master(part.name + "/" + layer.name + ".weight");
      weights.emplace_back(layer.name, InDtype({{layer.name, value}}, spec.dtype)[0].second.cpu());
    }
    for (const HookableLayer& layer : LayersOf(*part.module)) {
      if (IsTarget(layer.name, {"attn1.to_k"})) {
        self_attention.push_back(layer.name.substr(0, layer.name.rfind('.')));
      }
    }
  }
  MakeModelDirectory(spec.out, card, [&](const std::filesystem::path& partial) {
    WriteCustomDiffusionFile(partial / kCustomDiffusionFile, weights, self_attention);
    const auto read = ReadCustomDiffusion(partial / kCustomDiffusionFile);
    bool same = read.size() == weights.size();
    for (size_t i = 0; same && i < read.size(); ++i) {
      same = read[i].first == weights[i].first && torch::equal(read[i].second, weights[i].second);
    }
    if (!same) throw Error(ErrorKind::kInternal, "the weights are not read back as written");
    if (trained.size() > 1) WriteWordFiles(trained.method(1), partial);
  });
}

std::unique_ptr<AppliedAdapter> ApplyCustomDiffusion(Family& model,
                                                     const std::filesystem::path& directory,
                                                     double strength) {
  std::vector<std::unique_ptr<AppliedAdapter>> adapters;
  adapters.push_back(
      ApplyChanges(ChangesOfProjections(model, directory / kCustomDiffusionFile, strength)));
  if (std::filesystem::exists(directory / kEmbeddingFile)) {
    adapters.push_back(ApplyTextualInversion(model, directory, /*strength=*/1));
  }
  return std::make_unique<AppliedTogether>(std::move(adapters));
}

void MergeCustomDiffusion(Family& model, const std::filesystem::path& directory, double strength,
                          MergedAdapters& merged) {
  MergeChanges(ChangesOfProjections(model, directory / kCustomDiffusionFile, strength), merged);
  if (std::filesystem::exists(directory / kEmbeddingFile)) {
    MergeTextualInversion(model, directory, /*strength=*/1, merged);
  }
}

NamedTensors ReadTrainedCustomDiffusion(Family& model, Attached& attached,
                                        const std::filesystem::path& directory) {
  auto& trained = dynamic_cast<CombinedTraining&>(attached);
  NamedTensors values;
  for (const Part& part : DenoisersOf(model)) {
    for (const auto& [layer, weight] : ReadCustomDiffusion(directory / kCustomDiffusionFile)) {
      values.emplace_back(part.name + "/" + layer + ".weight", weight);
    }
  }
  if (!std::filesystem::exists(directory / kEmbeddingFile)) return values;
  if (trained.size() == 1) {
    throw Error(ErrorKind::kFailedPrecondition,
                "it has a word of its own, which these settings do not train");
  }
  for (auto& value : ReadTrainedWord(model, trained.method(1), directory)) {
    values.push_back(std::move(value));
  }
  return values;
}

}  // namespace likeness

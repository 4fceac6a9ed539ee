#include "worker/methods/lora.h"

#include <map>
#include <string>
#include <utility>
#include <vector>

#include "third_party/nlohmann/json.hpp"
#include "worker/base/error.h"
#include "worker/exports/lora_file.h"
#include "worker/exports/model_directory.h"
#include "worker/methods/lora_layer.h"
#include "worker/methods/trained_parameters.h"
#include "worker/training/training_rng.h"

namespace likeness {
namespace {

// Where the attention of CLIP's text tower has its weights.
const std::vector<std::string> kTextTargets = {"q_proj", "k_proj", "v_proj", "out_proj"};

// The step whose generator draws what is there before the first one.
constexpr int64_t kBeforeTheFirst = -1;

struct NewUpdates {
  std::vector<LoraUpdate> updates;
  std::vector<HookableLayer> layers;  // of the updates, in their order
  std::vector<TrainedPart> parts;
  std::map<std::string, std::vector<std::string>> targets;
  std::vector<torch::Tensor> frozen;  // the trained parts' own parameters
};

// As peft's "gaussian": down is drawn, up is zero, so the model begins as it is.
LoraUpdate NewUpdate(const std::string& part, const HookableLayer& layer, int64_t rank,
                     at::Generator& generator) {
  std::vector<int64_t> down = layer.weight.sizes().vec();
  std::vector<int64_t> up(down.size(), 1);
  up[0] = down[0];
  up[1] = rank;
  down[0] = rank;
  const auto options = layer.weight.options().dtype(torch::kFloat32);
  return {.part = part,
          .layer = layer.name,
          .down = (torch::randn(down, generator) / static_cast<double>(rank)).to(options),
          .up = torch::zeros(up, options)};
}

// Denoisers first, then the text encoders; in each the layers by name.
NewUpdates MakeUpdates(Family& model, const MethodSpec& spec) {
  torch::NoGradGuard no_grad;
  NewUpdates made;
  at::Generator generator = StepGenerator(spec.seed, kBeforeTheFirst);
  const auto add = [&](const Part& part, const std::vector<std::string>& targets, double rate) {
    TrainedPart trained{part.name, {}, rate, part.role == Role::kTextEncoder};
    for (const HookableLayer& layer : LayersOf(*part.module)) {
      if (!IsTarget(layer.name, targets)) continue;
      made.updates.push_back(NewUpdate(part.name, layer, spec.lora.rank, generator));
      made.layers.push_back(layer);
      trained.parameters.emplace_back(layer.name + ".lora_A.weight", made.updates.back().down);
      trained.parameters.emplace_back(layer.name + ".lora_B.weight", made.updates.back().up);
    }
    if (trained.parameters.empty()) {
      throw Error(ErrorKind::kInvalidArgument,
                  "lora.targets name no layer of the model's " + part.name);
    }
    made.parts.push_back(std::move(trained));
    made.targets[part.name] = targets;
    for (const auto& parameter : part.module->parameters()) made.frozen.push_back(parameter);
  };
  for (const Part& part : model.Parts()) {
    if (part.role == Role::kDenoiser) add(part, spec.lora.targets, spec.learning_rate);
  }
  for (const Part& part : model.Parts()) {
    if (part.role == Role::kTextEncoder && spec.text_encoder_learning_rate) {
      add(part, kTextTargets, *spec.text_encoder_learning_rate);
    }
  }
  return made;
}

class LoraTraining : public TrainedParameters {
 public:
  LoraTraining(NewUpdates made, const MethodSpec& spec)
      : TrainedParameters(made.parts, spec.compute),
        weights_{{spec.lora.rank, spec.lora.alpha, spec.lora.rank_stabilized},
                 std::move(made.updates),
                 std::move(made.targets)},
        frozen_(std::move(made.frozen)),
        dropout_(spec.lora.dropout) {
    for (const auto& parameter : frozen_) base_.push_back(parameter.variable_data());
    const auto computing = FrozenIn(spec.compute);
    for (size_t i = 0; i < made.layers.size(); ++i) {
      layers_.push_back(std::make_unique<LoraLayer>(made.layers[i], weights_.updates[i].down,
                                                    weights_.updates[i].up,
                                                    weights_.scale.value()));
    }
    ExchangeValues(frozen_, computing);
  }
  ~LoraTraining() override { ExchangeValues(frozen_, base_); }

  void BeginStep(const at::Generator& generator) override {
    if (dropout_ == 0) return;
    for (auto& layer : layers_) layer->DropInputs(dropout_, generator);
  }

  // What is trained, in float32.
  LoraWeights Trained() const {
    LoraWeights trained = weights_;
    for (size_t i = 0; i < trained.updates.size(); ++i) {
      trained.updates[i].down = masters()[2 * i];
      trained.updates[i].up = masters()[2 * i + 1];
    }
    return trained;
  }

 protected:
  void Lend(torch::ScalarType dtype) override {
    const auto lent = FrozenIn(dtype);
    std::vector<torch::Tensor> computing;
    for (const auto& parameter : frozen_) computing.push_back(parameter.variable_data());
    TrainedParameters::Lend(dtype);
    computing_ = std::move(computing);
    ExchangeValues(frozen_, lent);
  }
  void TakeBack() noexcept override {
    TrainedParameters::TakeBack();
    ExchangeValues(frozen_, computing_);
    computing_.clear();
  }

 private:
  std::vector<torch::Tensor> FrozenIn(torch::ScalarType dtype) const {
    torch::NoGradGuard no_grad;
    std::vector<torch::Tensor> values;
    for (const auto& value : base_) values.push_back(value.to(dtype));
    return values;
  }

  LoraWeights weights_;
  std::vector<torch::Tensor> frozen_;     // parameters of the trained parts
  std::vector<torch::Tensor> base_;       // their values before
  std::vector<torch::Tensor> computing_;  // their values while others are lent
  std::vector<std::unique_ptr<LoraLayer>> layers_;
  double dropout_;
};

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

LoraWeights InSavedDtype(LoraWeights weights, torch::ScalarType dtype) {
  for (LoraUpdate& update : weights.updates) {
    const auto saved = InDtype({{update.part + "/" + update.layer + ".lora_A", update.down},
                                {update.part + "/" + update.layer + ".lora_B", update.up}},
                               dtype);
    update.down = saved[0].second.cpu();
    update.up = saved[1].second.cpu();
  }
  return weights;
}

// What tools will read is what was meant to be written.
void CheckWritten(const LoraWeights& written, const std::filesystem::path& file) {
  const LoraWeights read = ReadDiffusersLora(file);
  std::map<std::string, const LoraUpdate*> by_name;
  for (const auto& update : read.updates) by_name[update.part + "/" + update.layer] = &update;
  bool same =
      read.updates.size() == written.updates.size() && read.scale.value() == written.scale.value();
  for (const auto& update : written.updates) {
    const auto found = by_name.find(update.part + "/" + update.layer);
    same = same && found != by_name.end() && torch::equal(found->second->down, update.down) &&
           torch::equal(found->second->up, update.up);
  }
  if (!same) throw Error(ErrorKind::kInternal, "the adapter is not read back as it was written");
}

class AppliedLora : public AppliedAdapter {
 public:
  void Add(std::unique_ptr<LoraLayer> layer) { layers_.push_back(std::move(layer)); }

 private:
  std::vector<std::unique_ptr<LoraLayer>> layers_;
};

// Whether the tensors are an update of the layer.
bool Fits(const LoraUpdate& update, const HookableLayer& layer, int64_t rank) {
  std::vector<int64_t> down = layer.weight.sizes().vec();
  std::vector<int64_t> up(down.size(), 1);
  up[0] = down[0];
  up[1] = down[0] = rank;
  return update.down.sizes() == down && update.up.sizes() == up;
}

}  // namespace

std::unique_ptr<Attached> AttachLora(Family& model, const MethodSpec& spec) {
  return std::make_unique<LoraTraining>(MakeUpdates(model, spec), spec);
}

void WriteLora(Family& model, Attached& attached, const WriteSpec& spec,
               const nlohmann::json& card) {
  const LoraWeights weights =
      InSavedDtype(dynamic_cast<const LoraTraining&>(attached).Trained(), spec.dtype);
  MakeModelDirectory(spec.out, card, [&](const std::filesystem::path& partial) {
    WriteDiffusersLora(partial / kDiffusersLoraFile, weights);
    WriteKohyaLora(partial / kKohyaLoraFile, weights, KohyaModelOf(model));
    CheckWritten(weights, partial / kDiffusersLoraFile);
  });
}

std::unique_ptr<AppliedAdapter> ApplyLora(Family& model, const std::filesystem::path& directory,
                                          double strength) {
  const LoraWeights weights = ReadDiffusersLora(directory / kDiffusersLoraFile);
  std::map<std::string, HookableLayer> layers;
  for (const Part& part : model.Parts()) {
    for (const auto& layer : LayersOf(*part.module)) layers[part.name + "/" + layer.name] = layer;
  }
  auto applied = std::make_unique<AppliedLora>();
  for (const LoraUpdate& update : weights.updates) {
    const auto found = layers.find(update.part + "/" + update.layer);
    if (found == layers.end() || !Fits(update, found->second, weights.scale.rank)) {
      throw Error(ErrorKind::kFailedPrecondition,
                  "the adapter has an update of " + update.part + "/" + update.layer +
                      ", which this model does not have in this shape");
    }
    if (strength == 0) continue;
    const auto options = found->second.weight.options();
    applied->Add(std::make_unique<LoraLayer>(found->second, update.down.to(options),
                                             update.up.to(options),
                                             weights.scale.value() * strength));
  }
  return applied;
}

}  // namespace likeness

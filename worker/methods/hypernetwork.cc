#include "worker/methods/hypernetwork.h"

#include <cmath>
#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "third_party/nlohmann/json.hpp"
#include "worker/base/error.h"
#include "worker/exports/model_directory.h"
#include "worker/methods/adapter_training.h"
#include "worker/methods/layer_update.h"
#include "worker/nn/named_activations.h"
#include "worker/training/training_rng.h"
#include "worker/training/weight_initialization.h"

namespace likeness {
namespace {

constexpr const char* kPart = "hypernetwork";  // begins the names of what is trained

// One network: c becomes c + strength net(c). Shapes: c [N,S,D].
class ContextNet {
 public:
  ContextNet(const HypernetworkShape& shape, const NamedTensors& parameters) {
    std::map<std::string, torch::Tensor> by_name(parameters.begin(), parameters.end());
    for (const auto& [linear, norm] : shape.Modules()) {
      const std::string of_linear = "linear." + std::to_string(linear);
      const std::string of_norm = "linear." + std::to_string(norm);
      Layer layer{.weight = by_name.at(of_linear + ".weight"),
                  .bias = by_name.at(of_linear + ".bias"),
                  .dropout = shape.DropoutBehind(layers_.size())};
      if (shape.IsActivated(layers_.size())) {
        layer.activation = FindActivationByClass(shape.activation)->function;
      }
      if (norm >= 0) {
        layer.norm_weight = by_name.at(of_norm + ".weight");
        layer.norm_bias = by_name.at(of_norm + ".bias");
      }
      layers_.push_back(std::move(layer));
    }
  }

  // Skipped, contexts pass as they are.
  void Skip(bool skipped) { skipped_ = skipped; }

  // Without one nothing is left out.
  void DrawDropoutFrom(const at::Generator& generator) { generator_ = generator; }

  torch::Tensor operator()(const torch::Tensor& context_NSD, double strength) const {
    if (skipped_) return context_NSD;
    // Pictures may be drawn in another precision than the layer's own.
    torch::Tensor hidden = context_NSD.to(layers_.front().weight.scalar_type());
    for (const Layer& layer : layers_) {
      hidden = Project(hidden, layer.weight, layer.bias);
      if (layer.activation != nullptr) hidden = layer.activation(hidden);
      if (layer.norm_weight.defined()) {
        hidden = torch::layer_norm(hidden, layer.norm_weight.sizes(), layer.norm_weight,
                                   layer.norm_bias);
      }
      if (layer.dropout > 0 && generator_.defined() && torch::GradMode::is_enabled()) {
        hidden = DropValues(hidden, layer.dropout, generator_);
      }
    }
    return context_NSD + (hidden * strength).to(context_NSD.scalar_type());
  }

 private:
  struct Layer {
    torch::Tensor weight, bias;
    torch::Tensor (*activation)(const torch::Tensor&) = nullptr;
    torch::Tensor norm_weight = {}, norm_bias = {};
    double dropout = 0;
  };
  std::vector<Layer> layers_;
  at::Generator generator_;
  bool skipped_ = false;
};

// A network before one projection. Several projections share one.
class ContextHook : public LayerHook {
 public:
  ContextHook(const HookableLayer& layer, std::shared_ptr<const ContextNet> net, double strength)
      : net_(std::move(net)), strength_(strength), hooked_(*layer.hooks, *this) {}

  torch::Tensor Before(const torch::Tensor& context_NSD) override {
    return (*net_)(context_NSD, strength_);
  }

 private:
  std::shared_ptr<const ContextNet> net_;
  double strength_;
  HookedLayer hooked_;
};

struct ContextProjection {
  HookableLayer layer;
  bool values;  // or keys

  int64_t width() const { return layer.weight.size(1); }
};

// What makes keys and values in the denoisers' attention.
std::vector<ContextProjection> ProjectionsOf(const Family& model, bool self_attention) {
  std::vector<ContextProjection> projections;
  for (const Part& part : DenoisersOf(model)) {
    for (const HookableLayer& layer : LayersOf(*part.module)) {
      if (!self_attention && IsTarget(layer.name, {"attn1.to_k", "attn1.to_v"})) continue;
      const bool values = IsTarget(layer.name, {"to_v"});
      if (values || IsTarget(layer.name, {"to_k"})) projections.push_back({layer, values});
    }
  }
  return projections;
}

using Nets = std::map<std::pair<int64_t, bool>, std::shared_ptr<ContextNet>>;  // width, values

std::vector<std::unique_ptr<LayerHook>> Hook(const std::vector<ContextProjection>& projections,
                                             const Nets& nets, double strength) {
  std::vector<std::unique_ptr<LayerHook>> hooks;
  for (const ContextProjection& projection : projections) {
    const auto net = nets.find({projection.width(), projection.values});
    if (net == nets.end()) continue;  // as A1111: a width without a network stays
    hooks.push_back(std::make_unique<ContextHook>(projection.layer, net->second, strength));
  }
  return hooks;
}

Nets NetsOf(const Hypernetwork& hypernetwork) {
  Nets nets;
  for (const HypernetworkPair& pair : hypernetwork.pairs) {
    for (const bool values : {false, true}) {
      nets[{pair.width, values}] =
          std::make_shared<ContextNet>(hypernetwork.shape, values ? pair.values : pair.keys);
    }
  }
  return nets;
}

// As A1111: weights are drawn, those of normalizations always as small numbers; biases are zero.
NamedTensors BeginNet(const HypernetworkShape& shape, const WeightInitialization& initialization,
                      int64_t width, at::Generator& generator, const torch::Device& device) {
  NamedTensors parameters;
  for (const auto& [name, sizes] : HypernetworkParameters(shape, width)) {
    torch::Tensor value;
    if (name.ends_with(".bias")) {
      value = torch::zeros(sizes);
    } else {
      value = sizes.size() == 2 ? initialization.draw(sizes[0], sizes[1], generator)
                                : SmallNormal(sizes, generator);
    }
    parameters.emplace_back(name, value.to(device, torch::kFloat32));
  }
  return parameters;
}

HypernetworkShape ShapeOf(const HypernetworkOptions& options) {
  const size_t widths = options.layer_structure.size();
  std::vector<double> dropout(widths, options.dropout);
  dropout.front() = dropout.back() = 0;
  if (!options.last_layer_dropout) dropout[widths - 2] = 0;
  return {.layer_structure = options.layer_structure,
          .activation = FindActivation(options.activation)->class_name,
          .activate_output = options.activate_output,
          .layer_norm = options.layer_norm,
          .dropout_structure = std::move(dropout),
          .self_attention = options.self_attention};
}

// By width; of each the network of the keys first.
Hypernetwork Begin(const Family& model, const MethodSpec& spec) {
  torch::NoGradGuard no_grad;
  at::Generator generator = StepGenerator(spec.seed, kBeforeFirstStep);
  const auto& initialization = *FindWeightInitialization(spec.hypernetwork.weight_initialization);
  Hypernetwork begun{.shape = ShapeOf(spec.hypernetwork),
                     .pairs = {},
                     .weight_initialization = initialization.file_name};
  const auto begin = [&](int64_t width) {
    return BeginNet(begun.shape, initialization, width, generator, model.device());
  };
  for (const int64_t width : ContextWidths(model, begun.shape.self_attention)) {
    const auto keys = begin(width);
    begun.pairs.push_back({width, keys, begin(width)});
  }
  return begun;
}

std::vector<TrainedPart> PartsOf(const Hypernetwork& hypernetwork, double learning_rate) {
  TrainedPart part{kPart, {}, learning_rate};
  for (const HypernetworkPair& pair : hypernetwork.pairs) {
    for (const bool values : {false, true}) {
      for (const auto& [name, value] : values ? pair.values : pair.keys) {
        part.parameters.emplace_back(HypernetworkKey(pair.width, values, name), value);
      }
    }
  }
  return {part};
}

class HypernetworkTraining : public AdapterTraining {
 public:
  HypernetworkTraining(Family& model, Hypernetwork begun, const MethodSpec& spec)
      : AdapterTraining(PartsOf(begun, spec.learning_rate), ModulesOf(DenoisersOf(model)),
                        spec.compute),
        hypernetwork_(std::move(begun)),
        nets_(NetsOf(hypernetwork_)),
        hooks_(Hook(ProjectionsOf(model, hypernetwork_.shape.self_attention), nets_,
                    /*strength=*/1)) {}

  void BeginStep(const at::Generator& generator) override {
    for (const auto& [key, net] : nets_) net->DrawDropoutFrom(generator);
  }

  Hypernetwork Trained() const {
    Hypernetwork trained = hypernetwork_;
    for (HypernetworkPair& pair : trained.pairs) {
      for (const bool values : {false, true}) {
        for (auto& [name, value] : values ? pair.values : pair.keys) {
          value = Master(std::string(kPart) + "/" + HypernetworkKey(pair.width, values, name));
        }
      }
    }
    return trained;
  }

 protected:
  // There are no weights that add nothing: with an activated output zeros add what the activation
  // makes of them, one half with SIGMOID.
  void LendBase() override { SkipAll(true); }
  void TakeBackBase() noexcept override { SkipAll(false); }

 private:
  void SkipAll(bool skipped) noexcept {
    for (const auto& [key, net] : nets_) net->Skip(skipped);
  }

  Hypernetwork hypernetwork_;
  Nets nets_;
  std::vector<std::unique_ptr<LayerHook>> hooks_;
};

}  // namespace

std::set<int64_t> ContextWidths(const Family& model, bool self_attention) {
  std::set<int64_t> widths;
  for (const auto& projection : ProjectionsOf(model, self_attention)) {
    widths.insert(projection.width());
  }
  return widths;
}

void CheckContextWidths(const Family& model, const Hypernetwork& hypernetwork) {
  const auto widths = ContextWidths(model, hypernetwork.shape.self_attention);
  for (const HypernetworkPair& pair : hypernetwork.pairs) {
    if (widths.contains(pair.width)) continue;
    std::string allowed;
    for (const int64_t width : widths) {
      allowed += (allowed.empty() ? "" : ", ") + std::to_string(width);
    }
    throw Error(ErrorKind::kFailedPrecondition, "the hypernetwork is for contexts of width " +
                                                    std::to_string(pair.width) +
                                                    "; this model's have " + allowed);
  }
}

std::unique_ptr<Attached> AttachHypernetwork(Family& model, const MethodSpec& spec) {
  return std::make_unique<HypernetworkTraining>(model, Begin(model, spec), spec);
}

TrainedMemory MemoryOfHypernetwork(const Family& model, const MethodSpec& spec) {
  const HypernetworkOptions& options = spec.hypernetwork;
  TrainedMemory memory;
  for (const int64_t width : ContextWidths(model, options.self_attention)) {
    for (size_t i = 1; i < options.layer_structure.size(); ++i) {
      const double pair = options.layer_structure[i - 1] * options.layer_structure[i];
      memory.trained += 2 * std::llround(pair * static_cast<double>(width * width));
    }
  }
  // What lies between its layers, before keys and before values.
  for (const double width : options.layer_structure) memory.maps_of_block += 2 * width;
  return memory;
}

void WriteHypernetworkModel(Family&, Attached& attached, const WriteSpec& spec,
                            const nlohmann::json& card) {
  Hypernetwork trained = dynamic_cast<const HypernetworkTraining&>(attached).Trained();
  for (HypernetworkPair& pair : trained.pairs) {
    for (NamedTensors* parameters : {&pair.keys, &pair.values}) {
      *parameters = InDtype(*parameters, spec.dtype);
      for (auto& [name, value] : *parameters) value = value.cpu();
    }
  }
  MakeModelDirectory(spec.out, card, [&](const std::filesystem::path& partial) {
    WriteHypernetwork(partial / kHypernetworkFile, trained);
    const Hypernetwork read = ReadHypernetwork(partial / kHypernetworkFile);
    bool same = read.pairs.size() == trained.pairs.size();
    for (size_t i = 0; same && i < read.pairs.size(); ++i) {
      for (size_t j = 0; same && j < read.pairs[i].keys.size(); ++j) {
        same = torch::equal(read.pairs[i].keys[j].second, trained.pairs[i].keys[j].second) &&
               torch::equal(read.pairs[i].values[j].second, trained.pairs[i].values[j].second);
      }
    }
    if (same) return;
    throw Error(ErrorKind::kInternal, "the hypernetwork is not read back as it was written");
  });
}

std::unique_ptr<AppliedAdapter> ApplyHypernetwork(Family& model,
                                                  const std::filesystem::path& directory,
                                                  double strength) {
  Hypernetwork hypernetwork = ReadHypernetwork(directory / kHypernetworkFile);
  CheckContextWidths(model, hypernetwork);
  const auto projections = ProjectionsOf(model, hypernetwork.shape.self_attention);
  for (HypernetworkPair& pair : hypernetwork.pairs) {
    for (NamedTensors* parameters : {&pair.keys, &pair.values}) {
      for (auto& [name, value] : *parameters) value = value.to(model.device(), model.dtype());
    }
  }
  if (strength == 0) hypernetwork.pairs.clear();
  return std::make_unique<AppliedHooks>(Hook(projections, NetsOf(hypernetwork), strength));
}

NamedTensors ReadTrainedHypernetwork(Family&, Attached& attached,
                                     const std::filesystem::path& directory) {
  const HypernetworkShape own = dynamic_cast<const HypernetworkTraining&>(attached).Trained().shape;
  Hypernetwork read = ReadHypernetwork(directory / kHypernetworkFile);
  read.shape.dropout_structure = own.dropout_structure;
  if (read.shape != own) {
    throw Error(ErrorKind::kFailedPrecondition,
                "its networks are of another layer structure, activation, activated output, "
                "layer norm or choice of attention");
  }
  // Dropout has no parameters, but counts in the names of those behind it.
  for (HypernetworkPair& pair : read.pairs) {
    const auto named = HypernetworkParameters(own, pair.width);
    for (size_t i = 0; i < named.size(); ++i) {
      pair.keys[i].first = pair.values[i].first = named[i].first;
    }
  }
  NamedTensors values;
  for (const TrainedPart& part : PartsOf(read, /*learning_rate=*/0)) {
    for (const auto& [name, value] : part.parameters) {
      values.emplace_back(part.name + "/" + name, value);
    }
  }
  return values;
}

}  // namespace likeness

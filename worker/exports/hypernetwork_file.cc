#include "worker/exports/hypernetwork_file.h"

#include <algorithm>
#include <set>

#include "third_party/nlohmann/json.hpp"
#include "worker/base/error.h"
#include "worker/nn/named_activations.h"

namespace likeness {
namespace {

constexpr const char* kHypernetworkMetadata = "hypernetwork";
constexpr double kWidest = 8;  // of a layer, in contexts

[[noreturn]] void RefuseHypernetwork(const std::string& why) {
  throw Error(ErrorKind::kFailedPrecondition, std::string(kHypernetworkFile) + ": " + why);
}

nlohmann::json ToMetadata(const Hypernetwork& hypernetwork) {
  const HypernetworkShape& shape = hypernetwork.shape;
  auto dropout = shape.dropout_structure;
  dropout.resize(shape.layer_structure.size(), 0);
  const bool drops = std::any_of(dropout.begin(), dropout.end(), [](double p) { return p > 0; });
  return {{"layer_structure", shape.layer_structure},
          {"activation_func", shape.activation},
          {"is_layer_norm", shape.layer_norm},
          {"weight_initialization", hypernetwork.weight_initialization},
          {"use_dropout", drops},
          {"dropout_structure", dropout},
          {"last_layer_dropout", !drops || dropout[dropout.size() - 2] > 0},
          {"activate_output", shape.activate_output},
          {"self_attention", shape.self_attention}};
}

// A1111's "swish" is Hardswish.
std::string ClassOfActivation(const std::string& name) {
  return name == "swish" ? "hardswish" : name;
}

Hypernetwork Described(const SafetensorsFile& file) {
  const auto found = file.metadata().find(kHypernetworkMetadata);
  if (found == file.metadata().end()) RefuseHypernetwork("does not describe its networks");
  Hypernetwork hypernetwork;
  HypernetworkShape& shape = hypernetwork.shape;
  try {
    const auto json = nlohmann::json::parse(found->second);
    shape.layer_structure = json.at("layer_structure").get<std::vector<double>>();
    shape.activation = ClassOfActivation(json.at("activation_func").get<std::string>());
    shape.activate_output = json.value("activate_output", false);
    shape.layer_norm = json.at("is_layer_norm").get<bool>();
    shape.self_attention = json.at("self_attention").get<bool>();
    shape.dropout_structure = json.at("dropout_structure").get<std::vector<double>>();
    hypernetwork.weight_initialization = json.value("weight_initialization", "Normal");
  } catch (const nlohmann::json::exception&) {
    RefuseHypernetwork("does not describe its networks");
  }
  return hypernetwork;
}

void CheckShape(const HypernetworkShape& shape) {
  const auto& widths = shape.layer_structure;
  bool fine = widths.size() >= 3 && widths.size() <= 8 && widths.front() == 1 && widths.back() == 1;
  for (const double width : widths) fine = fine && width > 0 && width <= kWidest;
  if (!fine) RefuseHypernetwork("its networks are none that are known");
  if (FindActivationByClass(shape.activation) == nullptr) {
    RefuseHypernetwork("its activation, \"" + shape.activation + "\", is not supported");
  }
  fine = shape.dropout_structure.size() == widths.size();
  for (const double share : shape.dropout_structure) fine = fine && share >= 0 && share < 1;
  if (!fine) {
    RefuseHypernetwork(
        "its dropout_structure is not one number, from 0 to below 1, for each of "
        "the layer_structure");
  }
}

}  // namespace

bool HypernetworkShape::IsActivated(size_t layer) const {
  return activation != "linear" && (activate_output || layer + 1 < Layers());
}

double HypernetworkShape::DropoutBehind(size_t layer) const {
  return dropout_structure.empty() ? 0 : dropout_structure.at(layer + 1);
}

std::vector<std::pair<int, int>> HypernetworkShape::Modules() const {
  std::vector<std::pair<int, int>> modules;
  int index = 0;
  for (size_t i = 0; i < Layers(); ++i) {
    const int linear = index++;
    if (IsActivated(i)) ++index;
    modules.emplace_back(linear, layer_norm ? index++ : -1);
    if (DropoutBehind(i) > 0) ++index;
  }
  return modules;
}

std::vector<int64_t> HypernetworkShape::Widths(int64_t width) const {
  std::vector<int64_t> widths;
  for (const double times : layer_structure) {
    widths.push_back(static_cast<int64_t>(static_cast<double>(width) * times));
  }
  return widths;
}

std::string HypernetworkKey(int64_t width, bool values, const std::string& parameter) {
  return std::to_string(width) + (values ? ".1." : ".0.") + parameter;
}

std::vector<std::pair<std::string, std::vector<int64_t>>> HypernetworkParameters(
    const HypernetworkShape& shape, int64_t width) {
  std::vector<std::pair<std::string, std::vector<int64_t>>> parameters;
  const auto widths = shape.Widths(width);
  const auto modules = shape.Modules();
  for (size_t i = 0; i < modules.size(); ++i) {
    const std::string linear = "linear." + std::to_string(modules[i].first);
    parameters.push_back({linear + ".weight", {widths[i + 1], widths[i]}});
    parameters.push_back({linear + ".bias", {widths[i + 1]}});
    if (modules[i].second < 0) continue;
    const std::string norm = "linear." + std::to_string(modules[i].second);
    parameters.push_back({norm + ".weight", {widths[i + 1]}});
    parameters.push_back({norm + ".bias", {widths[i + 1]}});
  }
  return parameters;
}

void WriteHypernetwork(const std::filesystem::path& file, const Hypernetwork& hypernetwork) {
  NamedTensors tensors;
  for (const HypernetworkPair& pair : hypernetwork.pairs) {
    for (const bool values : {false, true}) {
      for (const auto& [name, value] : values ? pair.values : pair.keys) {
        tensors.emplace_back(HypernetworkKey(pair.width, values, name), value);
      }
    }
  }
  WriteSafetensors(file, tensors,
                   {{"format", "pt"}, {kHypernetworkMetadata, ToMetadata(hypernetwork).dump()}});
}

Hypernetwork ReadHypernetwork(const std::filesystem::path& path) {
  const SafetensorsFile file = SafetensorsFile::Open(path);
  Hypernetwork hypernetwork = Described(file);
  CheckShape(hypernetwork.shape);
  std::set<int64_t> widths;
  for (const std::string& key : file.Names()) {
    const auto shape = file.Shape(key);
    if (key.find(".0.linear.0.weight") == std::string::npos || shape.size() != 2) continue;
    widths.insert(shape[1]);
  }
  size_t tensors = 0;
  for (const int64_t width : widths) {
    HypernetworkPair pair{width, {}, {}};
    for (const bool values : {false, true}) {
      for (const auto& [name, shape] : HypernetworkParameters(hypernetwork.shape, width)) {
        const std::string key = HypernetworkKey(width, values, name);
        if (!file.Contains(key) || file.Shape(key) != shape || !file.Get(key).is_floating_point()) {
          RefuseHypernetwork("key " + key + " is missing, or of another shape");
        }
        (values ? pair.values : pair.keys).emplace_back(name, file.Get(key));
        ++tensors;
      }
    }
    hypernetwork.pairs.push_back(std::move(pair));
  }
  if (tensors == 0 || tensors != file.Names().size()) RefuseHypernetwork("holds other tensors");
  return hypernetwork;
}

}  // namespace likeness

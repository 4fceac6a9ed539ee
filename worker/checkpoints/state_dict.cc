#include "worker/checkpoints/state_dict.h"

#include <map>
#include <sstream>

#include "worker/base/error.h"
#include "worker/checkpoints/checkpoint_keys.h"
#include "worker/checkpoints/refuse.h"

namespace likeness {
namespace {

// Where the weights of one parameter lie.
struct Source {
  const SafetensorsFile* file;
  std::string key;
};

std::string ShapeText(torch::IntArrayRef shape) {
  std::ostringstream text;
  text << shape;
  return text.str();
}

// "N keys are PROBLEM: first, second, ..."
void RefuseKeys(const std::string& component, const std::string& problem,
                const std::vector<std::string>& keys) {
  if (keys.empty()) return;
  constexpr size_t kShown = 3;
  std::string list;
  for (size_t i = 0; i < keys.size() && i < kShown; ++i) list += (i == 0 ? "" : ", ") + keys[i];
  if (keys.size() > kShown) list += ", ...";
  const std::string count =
      keys.size() == 1 ? "1 key is " : std::to_string(keys.size()) + " keys are ";
  Refuse(component, count + problem + ": " + list);
}

std::map<std::string, Source> SourcesByParameter(const std::vector<SafetensorsFile>& files,
                                                 const std::string& component) {
  std::map<std::string, Source> sources;
  for (const auto& file : files) {
    for (const auto& key : file.Names()) {
      const auto parameter = ParameterOfKey(component, key);
      if (!parameter) continue;
      if (!sources.try_emplace(*parameter, Source{&file, key}).second) {
        Refuse(component, "key " + key + " is there twice");
      }
    }
  }
  return sources;
}

// Throws unless `sources` holds exactly the module's parameters, in their shapes.
void CheckKeys(const NamedTensors& wanted, std::map<std::string, Source> sources,
               const std::string& component) {
  std::vector<std::string> missing, extra;
  for (const auto& [name, tensor] : wanted) {
    const auto found = sources.extract(name);
    if (found.empty()) {
      missing.push_back(name);
      continue;
    }
    const auto shape = found.mapped().file->Shape(found.mapped().key);
    if (tensor.sizes() != shape) {
      Refuse(component, "key " + name + " has shape " + ShapeText(shape) +
                            " where the config asks for " + ShapeText(tensor.sizes()));
    }
  }
  for (const auto& [name, source] : sources) extra.push_back(source.key);
  RefuseKeys(component, "missing", missing);
  RefuseKeys(component, "not part of the model", extra);
}

NamedTensors ParametersAndBuffers(const torch::nn::Module& module) {
  NamedTensors tensors;
  for (const auto& item : module.named_parameters()) tensors.emplace_back(item.key(), item.value());
  for (const auto& item : module.named_buffers()) tensors.emplace_back(item.key(), item.value());
  return tensors;
}

}  // namespace

void LoadStateDict(torch::nn::Module& module, const std::vector<SafetensorsFile>& files,
                   const std::string& component) {
  const auto sources = SourcesByParameter(files, component);
  auto tensors = ParametersAndBuffers(module);
  CheckKeys(tensors, sources, component);
  torch::NoGradGuard no_grad;
  for (auto& [name, tensor] : tensors) {
    const auto& [file, key] = sources.at(name);
    tensor.set_data(file->Get(key).to(tensor.options()));
  }
}

void LoadStateDict(torch::nn::Module& module, const SafetensorsFile& file,
                   const std::string& component) {
  LoadStateDict(module, std::vector{file}, component);
}

NamedTensors StateDict(const torch::nn::Module& module) {
  NamedTensors tensors = ParametersAndBuffers(module);
  for (auto& [name, tensor] : tensors) tensor = tensor.detach();
  return tensors;
}

}  // namespace likeness

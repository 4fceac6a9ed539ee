#include "worker/exports/custom_diffusion_file.h"

#include "worker/base/error.h"

namespace likeness {
namespace {

constexpr const char* kProcessor = ".processor";
constexpr const char* kSuffix = "_custom_diffusion.weight";

}  // namespace

void WriteCustomDiffusionFile(const std::filesystem::path& file, const NamedTensors& weights,
                              const std::vector<std::string>& self_attention) {
  NamedTensors tensors;
  for (const auto& [layer, weight] : weights) {
    const size_t point = layer.rfind('.');
    tensors.emplace_back(layer.substr(0, point) + kProcessor + layer.substr(point) + kSuffix,
                         weight);
  }
  for (const std::string& layer : self_attention) {
    tensors.emplace_back(layer + kProcessor, torch::empty({0}));
  }
  WriteSafetensors(file, tensors, {{"format", "pt"}});
}

NamedTensors ReadCustomDiffusion(const std::filesystem::path& path) {
  const SafetensorsFile file = SafetensorsFile::Open(path);
  const std::string suffix = kSuffix;
  NamedTensors weights;
  for (const std::string& key : file.Names()) {
    const torch::Tensor value = file.Get(key);
    if (value.numel() == 0) continue;
    const size_t processor = key.find(kProcessor);
    if (processor == std::string::npos || !key.ends_with(suffix) || value.dim() != 2 ||
        !value.is_floating_point()) {
      throw Error(ErrorKind::kFailedPrecondition,
                  std::string(kCustomDiffusionFile) + ": key " + key + " is of no projection");
    }
    const size_t after = processor + std::string(kProcessor).size();
    weights.emplace_back(
        key.substr(0, processor) + key.substr(after, key.size() - after - suffix.size()), value);
  }
  return weights;
}

}  // namespace likeness

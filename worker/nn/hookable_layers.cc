#include "worker/nn/hookable_layers.h"

#include <algorithm>

namespace likeness {

std::vector<HookableLayer> LayersOf(torch::nn::Module& module) {
  std::vector<HookableLayer> layers;
  for (const auto& entry : module.named_modules()) {
    if (auto* linear = entry.value()->as<LinearImpl>()) {
      layers.push_back({entry.key(), &linear->hooks, linear->weight, std::nullopt});
    } else if (auto* conv = entry.value()->as<Conv2dImpl>()) {
      layers.push_back({entry.key(), &conv->hooks, conv->weight, conv->options()});
    }
  }
  std::sort(layers.begin(), layers.end(),
            [](const auto& a, const auto& b) { return a.name < b.name; });
  return layers;
}

bool IsTarget(const std::string& name, const std::vector<std::string>& targets) {
  return std::any_of(targets.begin(), targets.end(), [&](const std::string& target) {
    return name == target || name.ends_with("." + target);
  });
}

}  // namespace likeness

// The layers of a module that hooks can lie over, by name.
#pragma once

#include <torch/torch.h>

#include <optional>
#include <string>
#include <vector>

#include "worker/nn/layers.h"

namespace likeness {

// A linear layer or a convolution. What it refers to is the module's.
struct HookableLayer {
  std::string name;  // within the module: "down_blocks.0.attentions.0.proj_in"
  LayerHooks* hooks;
  torch::Tensor weight;               // [out, in], of a convolution [out, in, k, k]
  std::optional<Conv2dOptions> conv;  // of a convolution
};

// All of them, sorted by name.
std::vector<HookableLayer> LayersOf(torch::nn::Module& module);

// Whether `name` is one of the targets, or ends with '.' and one of them.
bool IsTarget(const std::string& name, const std::vector<std::string>& targets);

}  // namespace likeness

#pragma once

#include <torch/torch.h>

#include <functional>

namespace likeness {

// What a model is loaded for.
struct LoadOptions {
  torch::Device device = torch::kCPU;
  torch::ScalarType dtype = torch::kFloat32;
  // Called every fraction of a second while files are read; what it throws ends the loading.
  std::function<void()> poll = {};
};

}  // namespace likeness

#pragma once

#include <torch/torch.h>

#include <functional>
#include <optional>

namespace likeness {

// What a model is loaded for.
struct LoadOptions {
  torch::Device device = torch::kCPU;
  torch::ScalarType dtype = torch::kFloat32;
  // What pictures are drawn in; absent: as dtype.
  std::optional<torch::ScalarType> drawing_dtype = {};
  // Called every fraction of a second while files are read; what it throws ends the loading.
  std::function<void()> poll = {};
};

}  // namespace likeness

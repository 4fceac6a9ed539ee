// Which files of a model directory hold the weights of one component.
#pragma once

#include <torch/torch.h>

#include <filesystem>
#include <string>
#include <vector>

#include "worker/base/io/safetensors.h"

namespace likeness {

// Opens the component's safetensors: STEM.safetensors, or the shards that
// STEM.safetensors.index.json names, or either of them in the half-precision variants that
// libraries write (STEM.fp16.safetensors, STEM.safetensors.index.fp16.json or, in older ones,
// STEM.fp16.safetensors.index.json). Where several are there, the variant closest to `dtype`.
// STEM is diffusion_pytorch_model or model. Errors: kFailedPrecondition where there is none (pickle
// files are named, never opened), kDataLoss.
std::vector<SafetensorsFile> OpenComponent(const std::filesystem::path& dir,
                                           const std::string& component, const std::string& stem,
                                           torch::ScalarType dtype);

// All of its weights by the names of the modules' parameters, as the files have them: views that
// keep the files mapped. Errors as OpenComponent's.
NamedTensors ReadComponent(const std::filesystem::path& dir, const std::string& component,
                           const std::string& stem, torch::ScalarType dtype);

}  // namespace likeness

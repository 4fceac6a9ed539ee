// Between a module's named parameters and a checkpoint's keys.
#pragma once

#include <torch/torch.h>

#include <string>
#include <vector>

#include "worker/base/io/safetensors.h"

namespace likeness {

// Gives every parameter and buffer of `module` the tensor of its name, in the module's own dtype
// and device; where both agree with the file's, the parameter is the mapped file itself (copied on
// write). `files`: the shards of one checkpoint. `component`: "unet", for messages. Errors
// (kFailedPrecondition), naming component, key and shapes: a key that is missing, one too many, in
// two shards, or of another shape. The module is then unchanged.
void LoadStateDict(torch::nn::Module& module, const std::vector<SafetensorsFile>& files,
                   const std::string& component);
void LoadStateDict(torch::nn::Module& module, const SafetensorsFile& file,
                   const std::string& component);

// All parameters and buffers by name, detached, sharing memory with the module.
NamedTensors StateDict(const torch::nn::Module& module);

}  // namespace likeness

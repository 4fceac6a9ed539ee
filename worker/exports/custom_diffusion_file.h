// Weights of Custom Diffusion (arXiv 2212.04488) as a file of their own.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "worker/base/io/safetensors.h"

namespace likeness {

// As diffusers' UNet2DConditionLoadersMixin.load_attn_procs reads it: of each cross-attention layer
// whole weights, "<layer>.processor.to_k_custom_diffusion.weight". `weights`: by the layers' names,
// "down_blocks.0.attentions.0.transformer_blocks.0.attn2.to_k". `self_attention`: names of the
// attention layers that stay, which that loader wants to be told of.
inline constexpr const char* kCustomDiffusionFile = "pytorch_custom_diffusion_weights.safetensors";
void WriteCustomDiffusionFile(const std::filesystem::path& file, const NamedTensors& weights,
                              const std::vector<std::string>& self_attention);
// The weights, sorted by name. Errors: those of SafetensorsFile::Open; kFailedPrecondition for what
// is no such file.
NamedTensors ReadCustomDiffusion(const std::filesystem::path& file);

}  // namespace likeness

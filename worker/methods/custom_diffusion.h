// Custom Diffusion, Kumari et al. 2212.04488: what is trained are the key and value projections of
// the denoisers' cross-attention, and the token as a word of its own. Source of the details:
// diffusers' examples/custom_diffusion, with its train_kv.
#pragma once

#include <filesystem>
#include <memory>

#include "worker/methods/method.h"

namespace likeness {

std::unique_ptr<Attached> AttachCustomDiffusion(Family& model, const MethodSpec& spec);
TrainedMemory MemoryOfCustomDiffusion(const Family& model, const MethodSpec& spec);
void WriteCustomDiffusion(Family& model, Attached& attached, const WriteSpec& spec,
                          const nlohmann::json& card);
// `strength` multiplies how far the projections are from the base's; a word is there whole.
std::unique_ptr<AppliedAdapter> ApplyCustomDiffusion(Family& model,
                                                     const std::filesystem::path& directory,
                                                     double strength);
void MergeCustomDiffusion(Family& model, const std::filesystem::path& directory, double strength,
                          MergedAdapters& merged);
NamedTensors ReadTrainedCustomDiffusion(Family& model, Attached& attached,
                                        const std::filesystem::path& directory);

}  // namespace likeness

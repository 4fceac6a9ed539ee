// LoRA, Hu et al. 2106.09685: what is trained is an update of low rank for some of the layers; the
// model itself stays. What is written is an adapter: the updates alone, in the formats of other
// tools. rsLoRA (Kalajdzievski 2312.03732) is a scale, LoRA+ (Hayou et al. 2402.12354) a learning
// rate, T-LoRA a choice of ranks (timestep_ranks.h); the variants are rows of lora_variants.h.
#pragma once

#include <filesystem>
#include <memory>

#include "worker/methods/method.h"

namespace likeness {

std::unique_ptr<Attached> AttachLora(Family& model, const MethodSpec& spec);
TrainedMemory MemoryOfLora(const Family& model, const MethodSpec& spec);
void WriteLora(Family& model, Attached& attached, const WriteSpec& spec,
               const nlohmann::json& card);
std::unique_ptr<AppliedAdapter> ApplyLora(Family& model, const std::filesystem::path& directory,
                                          double strength);
void MergeLora(Family& model, const std::filesystem::path& directory, double strength,
               MergedAdapters& merged);
NamedTensors ReadTrainedLora(Family& model, Attached& attached,
                             const std::filesystem::path& directory);

// The files of a model's directory, without the card; `attached` is AttachLora's.
void WriteLoraFiles(Family& model, Attached& attached, torch::ScalarType dtype,
                    const std::filesystem::path& directory);

}  // namespace likeness

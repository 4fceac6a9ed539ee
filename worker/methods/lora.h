// LoRA, Hu et al. 2106.09685: what is trained is an update of low rank for some of the layers; the
// model itself stays. What is written is an adapter: the updates alone, in the formats of other
// tools. rsLoRA (Kalajdzievski 2312.03732) is a scale, LoRA+ (Hayou et al. 2402.12354) a learning
// rate, T-LoRA a choice of ranks (timestep_ranks.h); the variants are rows of lora_variants.h.
#pragma once

#include <filesystem>
#include <memory>

#include "worker/exports/lora_file.h"
#include "worker/methods/method.h"

namespace likeness {

std::unique_ptr<Attached> AttachLora(Family& model, const MethodSpec& spec);
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
// What the names of the model's layers in kohya's files depend on.
KohyaModel KohyaModelOf(const Family& model);

// The same of any updates, there is at least one: in diffusers' and kohya's layouts, those of LoHa
// and LoKr in LyCORIS', of T-LoRA in kTLoraFile. Read back and compared. `dtype` may be
// kFloat8_e4m3fn for what InFloat8 (float8_lora.h) gives. Throws Error(kFailedPrecondition) for
// values that it does not hold.
void WriteLoraWeights(const Family& model, const LoraWeights& weights, torch::ScalarType dtype,
                      const std::filesystem::path& directory);

// Whether the adapter in `directory` is of T-LoRA: it acts otherwise at each timestep, which no
// weights can hold.
bool IsTLora(const std::filesystem::path& directory);

}  // namespace likeness

// The files of LoRA updates in a model's directory.
#pragma once

#include <torch/torch.h>

#include <filesystem>
#include <string>

#include "worker/exports/lora_file.h"
#include "worker/families/family.h"

namespace likeness {

// What the names of the model's layers in kohya's files depend on.
KohyaModel KohyaModelOf(const Family& model);

// What a factor of an update is called while it is trained: "unet/down_blocks.0...to_q.lora_A".
std::string TrainedName(const LoraUpdate& update, const std::string& factor);

// There is at least one update. In diffusers' and kohya's layouts, those of LoHa and LoKr in
// LyCORIS', of T-LoRA in kTLoraFile. Read back and compared. `dtype` may be kFloat8_e4m3fn for what
// InFloat8 (float8_lora.h) gives. Throws Error(kFailedPrecondition) for values that it does not
// hold.
void WriteLoraWeights(const Family& model, const LoraWeights& weights, torch::ScalarType dtype,
                      const std::filesystem::path& directory);
// What that wrote.
LoraWeights ReadLora(const Family& model, const std::filesystem::path& directory);

// Whether the adapter in `directory` is of T-LoRA: it acts otherwise at each timestep, which no
// weights can hold.
bool IsTLora(const std::filesystem::path& directory);

}  // namespace likeness

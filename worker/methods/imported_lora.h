// A LoRA in any of the layouts that programs write.
#pragma once

#include <torch/torch.h>

#include <string>

#include "worker/base/io/safetensors.h"
#include "worker/exports/lora_file.h"
#include "worker/families/family.h"

namespace likeness {

struct ImportedLora {
  LoraWeights weights;
  torch::ScalarType dtype = torch::kFloat32;  // that holds them without loss
  std::string layout;                         // "diffusers", "peft" or "kohya"
};

// Whether the file's keys are of such a layout.
bool IsLora(const SafetensorsFile& file);
// Error: kFailedPrecondition naming a key that is of no layer of the model, of no factor that is
// known, or of another shape.
ImportedLora ReadAnyLora(const Family& model, const SafetensorsFile& file);

}  // namespace likeness

// Stage `export`: the trained parts as one diffusers directory.
#pragma once

#include "worker/mini/pretrain.h"

namespace likeness::mini {

// Writes <directory>/model: float16 weights, and README.md, the model's card, from the log. Works
// at any time after the stage `vae`; what is not trained yet is random.
void ExportPretrained(const PretrainOptions& options);

}  // namespace likeness::mini

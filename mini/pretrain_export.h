// Stage `export`: the trained parts as one diffusers directory.
#pragma once

#include "mini/pretrain.h"

namespace likeness::mini {

// Writes <directory>/model, its weights in float16. Works at any time after the stage `vae`: what
// is not trained yet is random, which is enough to wire programs together.
void ExportPretrained(const PretrainOptions& options);

}  // namespace likeness::mini

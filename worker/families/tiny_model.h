// For tests: the smallest model with all parts of a real one.
#pragma once

#include "worker/families/stable_diffusion.h"

namespace likeness {

// 16x16 pictures, 8x8 latents, fresh weights drawn from torch's default generator.
StableDiffusion TinyModel();
// Small too, but as a checkpoint in one file has to be, of which some settings are taken to be
// those of the published models: 32 groups, 8 heads, towers with heads of 64, pictures of 512
// pixels.
StableDiffusion TinyModelForASingleFile(int64_t in_channels = 4);

}  // namespace likeness

// For tests: the smallest model with all parts of a real one.
#pragma once

#include "worker/families/stable_diffusion.h"

namespace likeness {

// 16x16 pictures, 8x8 latents, fresh weights drawn from torch's default generator.
StableDiffusion TinyModel();

}  // namespace likeness

// What a network that fills masks learns to fill.
#pragma once

#include <torch/torch.h>

#include "worker/families/family.h"
#include "worker/training/training_data.h"

namespace likeness {

// float32 [count,1,height,width], 1 inside: in each a rectangle or an ellipse of any size and at
// any place, as diffusers' train_dreambooth_inpaint draws them (random_mask). Draws rand [count,5]:
// its width, height, the places of its middle, and which of the two it is; docs/reproducibility.md.
torch::Tensor RandomMasks(int64_t count, int64_t height, int64_t width, at::Generator& generator);

// The batch's pictures outside of such masks; after the masks it draws posterior noise,
// randn [B,C,h,w]. Undefined, and nothing drawn, where the model fills no masks.
torch::Tensor MaskedCanvas(Family& model, const Batch& batch, at::Generator& generator);

}  // namespace likeness

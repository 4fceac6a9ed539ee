// Pictures as a model's autoencoder gives them back: the most that its pictures can reach.
#pragma once

#include <torch/torch.h>

#include "worker/families/family.h"

namespace likeness::mini {

// float32 [B,3,64,64] in [-1,1], in parts of 32.
torch::Tensor ThroughAutoencoder(Family& drawer, const torch::Tensor& pictures_BCHW);

}  // namespace likeness::mini

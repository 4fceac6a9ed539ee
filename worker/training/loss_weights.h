// The weight of the loss at each place of a photo, from its mask.
#pragma once

#include <torch/torch.h>

#include <vector>

#include "worker/training/fine_tune_options.h"

namespace likeness {

// float32 [N,1,h,w] on the CPU for photos of N masks, of which the sides are multiples of `cell`
// pixels; 0 to 1. A latent's weight is the mean of its cell of the mask, white being 1, as
// kohya-ss/sd-scripts has it (library/custom_train_functions.py, apply_masked_loss: interpolation
// by area), and at least `unmasked_weight`, as OneTrainer has it
// (modules/util/loss/masked_loss.py). 1 all over for a photo without a mask. Undefined where no
// photo has one.
torch::Tensor LossWeights(const std::vector<SubjectPhoto>& photos, int64_t cell,
                          double unmasked_weight);

}  // namespace likeness

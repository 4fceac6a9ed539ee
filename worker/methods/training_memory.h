// How much memory a fine-tune takes, reckoned from the model's sizes before anything is computed.
#pragma once

#include <cstdint>

#include "worker/families/family.h"
#include "worker/training/fine_tune_options.h"

namespace likeness {

// The most bytes that training holds at once: the model's weights, what is trained with its
// gradients and the optimizer's state, the activations of a step and what computes them. Rather too
// many than too few: every activation counts that some method keeps, and weights in files count as
// if they were read whole. Not counted: the program itself, and evaluators. Photos are not looked
// at; where a checkpoint is to be judged, `options` has prompts for it. `device`: of the training.
int64_t EstimateTrainingMemory(const Family& model, const FineTuneOptions& options,
                               torch::Device device);

}  // namespace likeness

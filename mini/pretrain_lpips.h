// Stage `lpips`: the miniature's own LPIPS, in AlexNet's layout but narrower, so that the worker
// compares pictures of this world by the code that compares photographs.
#pragma once

#include "mini/pretrain.h"

namespace likeness::mini {

// Writes <directory>/mini-lpips, in float16, and <directory>/lpips.json: how often it says rightly
// which of two pictures is further from a third, of identities that were not trained on, by what
// makes it so; and how often the plain mean over channels and the pixels do. First the trunk learns
// to classify, then the heads learn to weigh its channels, as in Zhang et al. 1801.03924, but that
// the order is known by construction (comparisons.h). Heads that say no more than the plain mean
// are not used.
void PretrainLpips(const PretrainOptions& options);

}  // namespace likeness::mini

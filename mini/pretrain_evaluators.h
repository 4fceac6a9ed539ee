// Stage `evaluators`: the miniature's own DINO and CLIP, small networks in the layouts of the real
// ones, so that the worker judges pictures of this world by the code that judges photographs.
#pragma once

#include "mini/pretrain.h"

namespace likeness::mini {

// Writes <directory>/mini-dino and <directory>/mini-clip as transformers would, in float16, and
// <directory>/evaluators.json: what they reach on identities that were not trained on. Pictures are
// also seen through the autoencoder of options.model, whose tokenizer reads captions.
void PretrainEvaluators(const PretrainOptions& options);

}  // namespace likeness::mini

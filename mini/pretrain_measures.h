// Stage `measures`: the identity encoder and the attribute classifier.
#pragma once

#include "mini/pretrain.h"

namespace likeness::mini {

// Trains from <directory>/identity.checkpoint.safetensors and attributes.checkpoint.safetensors on,
// and writes <directory>/eval: both networks, and measures.json with what they reach on held-out
// identities. A quarter of the pictures passes through the autoencoder first, so that its blur is
// known to both.
void PretrainMeasures(const PretrainOptions& options);

}  // namespace likeness::mini

// LoRA factors as 8-bit floats, E4M3 of Micikevicius et al. 2209.05433: three bits behind the
// point, and magnitudes from 2^-9 to 448.
#pragma once

#include "worker/exports/lora_file.h"

namespace likeness {

// The same updates with factors in E4M3. Of each layer both factors get the same largest magnitude,
// and all layers one alpha, which makes up for it: readers that know one alpha for all layers, as
// diffusers for those of attention, scale right. The largest magnitude of all is 8, not 448: the
// precision is the same, and in half precision what two factors of up to 448 give is beyond its
// range.
LoraWeights InFloat8(const LoraWeights& weights);

// ||a - b|| / ||b|| of what they add to the weights, which are of the same layers.
double UpdateDifference(const LoraWeights& a, const LoraWeights& b);

}  // namespace likeness

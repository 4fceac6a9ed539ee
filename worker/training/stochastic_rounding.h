// Rounding to bfloat16 that is right in the mean: changes too small for a weight's format are made
// as often as they are large, instead of never (Gupta et al. 1502.02551).
#pragma once

#include <torch/torch.h>

#include <cstddef>
#include <cstdint>

namespace likeness {

// What rounding draws from, for update `update` of parameter number `parameter` in a run with
// `seed`. Each update has a generator of its own: updates can be made in any order, and a resumed
// run needs no generator state.
uint64_t RoundingSeed(uint32_t seed, size_t parameter, int64_t update);

// Writes `values` (float32) to `weight` (bfloat16, of the same shape, on the same device). A value
// between two bfloat16 numbers becomes the one farther from zero with the probability of its share
// of the way there; a bfloat16 number stays what it is. 16 random bits a number, in the order of
// the shape, from the device's kind of generator.
void RoundStochastically(const torch::Tensor& values, uint64_t seed, const torch::Tensor& weight);

}  // namespace likeness

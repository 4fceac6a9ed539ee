// Where the random numbers of training come from; docs/reproducibility.md is the record and has the
// same in PyTorch. Each optimizer step has a generator of its own, so a resumed run needs no
// generator state.
#pragma once

#include <torch/torch.h>

#include <cstdint>

namespace likeness {

// The step whose generator draws what is there before the first one.
inline constexpr int64_t kBeforeFirstStep = -1;
// And that which draws the order in which photos of several sizes begin batches.
inline constexpr int64_t kOrderOfPhotos = -2;

// What the generator of `step` (from 0, below 2^20) is seeded with: ((seed + 1) * 2654435761 +
// step) mod 2^32. PyTorch's CPU generator keeps the low 32 bits of a seed alone; the multiplier
// (2^32 over the golden ratio) lays the runs of nearby seeds far apart within them.
uint64_t StepSeed(uint32_t seed, int64_t step);

// The CPU generator that torch.Generator().manual_seed(StepSeed(seed, step)) is.
at::Generator StepGenerator(uint32_t seed, int64_t step);

}  // namespace likeness

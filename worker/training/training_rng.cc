#include "worker/training/training_rng.h"

#include <ATen/CPUGeneratorImpl.h>

namespace likeness {

uint64_t StepSeed(uint32_t seed, int64_t step) {
  return ((static_cast<uint64_t>(seed) + 1) * 2654435761u + static_cast<uint64_t>(step)) &
         0xffffffffu;
}

at::Generator StepGenerator(uint32_t seed, int64_t step) {
  return at::make_generator<at::CPUGeneratorImpl>(StepSeed(seed, step));
}

}  // namespace likeness

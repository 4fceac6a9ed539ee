#include "worker/training/stochastic_rounding.h"

#include <ATen/CPUGeneratorImpl.h>
#include <ATen/Context.h>

namespace likeness {
namespace {

// SplitMix64's, Steele et al. 2014: neighbours become unlike.
uint64_t Mix(uint64_t x) {
  x += 0x9e3779b97f4a7c15u;
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
  x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
  return x ^ (x >> 31);
}

at::Generator GeneratorOn(const torch::Device& device, uint64_t seed) {
  // PyTorch's CPU generator keeps the low 32 bits of a seed alone.
  if (device.is_cpu()) return at::make_generator<at::CPUGeneratorImpl>(seed & 0xffffffffu);
  at::Generator generator = at::globalContext()
                                .getAcceleratorHooksInterface(device.type())
                                .getNewGenerator(device.index());
  generator.set_current_seed(seed);
  return generator;
}

}  // namespace

uint64_t RoundingSeed(uint32_t seed, size_t parameter, int64_t update) {
  return Mix(Mix(Mix(seed) + parameter) + static_cast<uint64_t>(update));
}

void RoundStochastically(const torch::Tensor& values, uint64_t seed, const torch::Tensor& weight) {
  // A bfloat16 number is the upper half of a float32 number, whose magnitude the bits without the
  // sign count. What is added to the lower half carries into the upper one as often as it is large.
  constexpr int64_t kLowerHalf = 1 << 16;
  const at::Generator generator = GeneratorOn(values.device(), seed);
  const auto bits =
      torch::randint(kLowerHalf, values.sizes(), generator, values.options().dtype(torch::kInt32));
  bits.add_(values.view(torch::kInt32)).bitwise_and_(-kLowerHalf);
  weight.copy_(bits.view(torch::kFloat32));
}

}  // namespace likeness

#include "worker/diffusion/brownian_tree.h"

#include <ATen/CPUGeneratorImpl.h>

#include <cmath>

namespace likeness {
namespace {

constexpr int kHalvings = 18;

// SplitMix64 (Steele, Lea and Flood, 2014): neighbouring numbers give unrelated ones.
uint64_t Scatter(uint64_t x) {
  x += 0x9E3779B97F4A7C15;
  x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9;
  x = (x ^ (x >> 27)) * 0x94D049BB133111EB;
  return x ^ (x >> 31);
}

}  // namespace

BrownianTree::BrownianTree(uint64_t seed, double end, std::vector<int64_t> shape)
    : seed_(seed), end_(end), shape_(std::move(shape)) {
  at_end_ = Normal(0) * std::sqrt(end);
}

torch::Tensor BrownianTree::Normal(uint64_t interval) const {
  auto generator = at::make_generator<at::CPUGeneratorImpl>(Scatter(Scatter(seed_) ^ interval));
  return torch::randn(shape_, generator, torch::kFloat32);
}

torch::Tensor BrownianTree::At(double time) const {
  double from = 0, to = end_;
  auto at_from = torch::zeros(shape_), at_to = at_end_;
  uint64_t interval = 1;  // its halves are 2 i and 2 i + 1
  for (int i = 0; i < kHalvings && time > from && time < to; ++i) {
    const double middle = (from + to) / 2;
    const auto at_middle = (at_from + at_to) / 2 + Normal(interval) * std::sqrt((to - from) / 4);
    const bool above = time >= middle;
    interval = 2 * interval + (above ? 1 : 0);
    (above ? from : to) = middle;
    (above ? at_from : at_to) = at_middle;
  }
  if (time >= to) return at_to;
  const double share = (time - from) / (to - from);
  return at_from + share * (at_to - at_from);
}

}  // namespace likeness

#include "worker/diffusion/noise_source.h"

#include <ATen/CPUGeneratorImpl.h>

#include <cmath>

namespace likeness {

PictureNoise::PictureNoise(std::vector<uint64_t> seeds, std::vector<int64_t> shape_CHW,
                           torch::Device device)
    : seeds_(std::move(seeds)), shape_1CHW_(std::move(shape_CHW)), device_(device) {
  shape_1CHW_.insert(shape_1CHW_.begin(), 1);
  for (const uint64_t seed : seeds_) {
    generators_.push_back(at::make_generator<at::CPUGeneratorImpl>(seed));
  }
}

torch::Tensor PictureNoise::Draw() {
  std::vector<torch::Tensor> noises;
  for (auto& generator : generators_) {
    noises.push_back(torch::randn(shape_1CHW_, generator, torch::kFloat32));
  }
  return torch::cat(noises).to(device_);
}

torch::Tensor PictureNoise::DrawBetween(double from, double to) {
  if (walks_.empty()) {
    for (const uint64_t seed : seeds_) {
      walks_.push_back({.tree = BrownianTree(seed, from, shape_1CHW_)});
    }
  }
  std::vector<torch::Tensor> noises;
  for (auto& walk : walks_) {
    const auto start = walk.At(from);  // first: it is what the last step asked for
    noises.push_back((start - walk.At(to)) / std::sqrt(from - to));
  }
  return torch::cat(noises).to(device_);
}

torch::Tensor PictureNoise::Walk::At(double time) {
  for (const auto& [known, value] : last) {
    if (known == time) return value;
  }
  if (last.size() == 2) last.erase(last.begin());
  last.emplace_back(time, tree.At(time));
  return last.back().second;
}

}  // namespace likeness

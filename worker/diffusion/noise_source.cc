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
  if (trees_.empty()) {
    for (const uint64_t seed : seeds_) trees_.emplace_back(seed, from, shape_1CHW_);
  }
  std::vector<torch::Tensor> noises;
  for (const auto& tree : trees_) {
    noises.push_back((tree.At(from) - tree.At(to)) / std::sqrt(from - to));
  }
  return torch::cat(noises).to(device_);
}

}  // namespace likeness

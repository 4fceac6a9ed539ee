// The noise of stochastic samplers, picture by picture: whatever else is drawn in the batch, a
// picture has its own.
#pragma once

#include <torch/torch.h>

#include <cstdint>
#include <utility>
#include <vector>

#include "worker/diffusion/brownian_tree.h"

namespace likeness {

class NoiseSource {
 public:
  virtual ~NoiseSource() = default;

  // Unit variance, float32 [B,C,H,W] on the latents' device.
  virtual torch::Tensor Draw() = 0;

  // The same, for a step from sigma `from` to `to`, 0 < to < from: what a Brownian motion over
  // sigma goes in between, brought to unit variance. Steps that overlap are correlated as its
  // increments are. The first `from` is the largest.
  virtual torch::Tensor DrawBetween(double from, double to) = 0;
};

// Picture i draws from a generator of its own on the CPU, seeded with seeds[i], as a diffusers
// pipeline does that is given one generator for each picture.
class PictureNoise : public NoiseSource {
 public:
  // shape_CHW: of one picture's latents.
  PictureNoise(std::vector<uint64_t> seeds, std::vector<int64_t> shape_CHW, torch::Device device);

  torch::Tensor Draw() override;
  torch::Tensor DrawBetween(double from, double to) override;

 private:
  std::vector<uint64_t> seeds_;
  std::vector<int64_t> shape_1CHW_;
  torch::Device device_;
  std::vector<at::Generator> generators_;
  // A walk over one picture's motion. Steps share ends: what was asked for last is kept.
  struct Walk {
    BrownianTree tree;
    std::vector<std::pair<double, torch::Tensor>> last = {};  // at most two times and values
    torch::Tensor At(double time);
  };
  std::vector<Walk> walks_;  // empty until the first step
};

}  // namespace likeness

// Maps that are too large to be gone through at once. Tiles overlap by a quarter and are faded into
// each other. Source: diffusers' AutoencoderKL.tiled_decode and _tiled_encode.
#pragma once

#include <torch/torch.h>

#include <cstdint>
#include <functional>

namespace likeness {

// Sides of a square tile, before and behind the network.
struct TileSides {
  int64_t in, out;
};

// What `network` makes of x_BCHW. Where x is no larger than a tile, exactly that.
torch::Tensor ThroughTiles(const torch::Tensor& x_BCHW, TileSides sides,
                           const std::function<torch::Tensor(const torch::Tensor& tile)>& network);

}  // namespace likeness

#include "worker/models/vae_tiles.h"

#include <algorithm>
#include <vector>

namespace likeness {
namespace {

constexpr double kOverlap = 0.25;

// Fades the end of `before` into the beginning of `tile`, which lies behind it along `dim`. In
// place.
void Fade(const torch::Tensor& before, torch::Tensor& tile, int64_t dim, int64_t extent) {
  extent = std::min({before.size(dim), tile.size(dim), extent});
  std::vector<int64_t> shape = {1, 1, 1, 1};
  shape[static_cast<size_t>(dim)] = extent;
  const auto share =
      (torch::arange(extent, torch::kFloat32) / extent).view(shape).to(tile.options());
  const auto end = before.narrow(dim, before.size(dim) - extent, extent);
  auto beginning = tile.narrow(dim, 0, extent);
  beginning.copy_(end * (1 - share) + beginning * share);
}

torch::Tensor Cut(const torch::Tensor& tile, int64_t side) {
  return tile.slice(2, 0, side).slice(3, 0, side);
}

}  // namespace

torch::Tensor ThroughTiles(const torch::Tensor& x_BCHW, TileSides sides,
                           const std::function<torch::Tensor(const torch::Tensor& tile)>& network) {
  if (x_BCHW.size(2) <= sides.in && x_BCHW.size(3) <= sides.in) return network(x_BCHW);
  const auto stride = static_cast<int64_t>(sides.in * (1 - kOverlap));
  const auto extent = static_cast<int64_t>(sides.out * kOverlap);
  const int64_t kept = sides.out - extent;
  std::vector<torch::Tensor> above, rows;
  for (int64_t y = 0; y < x_BCHW.size(2); y += stride) {
    std::vector<torch::Tensor> row, cut;
    for (int64_t x = 0; x < x_BCHW.size(3); x += stride) {
      auto tile = network(x_BCHW.slice(2, y, y + sides.in).slice(3, x, x + sides.in));
      if (!above.empty()) Fade(above[row.size()], tile, 2, extent);
      if (!row.empty()) Fade(row.back(), tile, 3, extent);
      row.push_back(tile);
      cut.push_back(Cut(tile, kept));
    }
    rows.push_back(torch::cat(cut, 3));
    above = std::move(row);
  }
  return torch::cat(rows, 2);
}

}  // namespace likeness

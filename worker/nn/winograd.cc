#include "worker/nn/winograd.h"

#include <ATen/Parallel.h>

#include <algorithm>
#include <cstdint>
#include <optional>
#include <vector>

#include "worker/nn/product_gradients.h"
#include "worker/nn/winograd_transforms.h"

namespace likeness {
namespace {

using namespace winograd;

// Below these, what is transformed costs more than the multiplications that are saved.
constexpr int64_t kFewestChannels = 64, kFewestTiles = 32, kFewestAlong = 4;
constexpr int64_t kBlockTiles = 256;                // that are transformed together
constexpr int64_t kBlockFloats = int64_t{1} << 24;  // of transformed weights kept at once

// How a picture is cut into tiles: rows of tiles of all pictures, one behind the other.
struct Tiling {
  int64_t channels, height, width;
  int64_t down, across;  // tiles of a picture
  int64_t rows;          // of tiles, of all pictures

  explicit Tiling(const torch::Tensor& x_BCHW)
      : channels(x_BCHW.size(1)),
        height(x_BCHW.size(2)),
        width(x_BCHW.size(3)),
        down((height + kOut - 1) / kOut),
        across((width + kOut - 1) / kOut),
        rows(x_BCHW.size(0) * down) {}
  int64_t tiles() const { return rows * across; }
  // The channel of the picture that a row of tiles belongs to.
  int64_t Plane(int64_t row, int64_t channel) const {
    return (row / down * channels + channel) * height * width;
  }
  // The first row of pixels that it gives.
  int64_t Top(int64_t row) const { return row % down * kOut; }
};

// The pixels of tiles of `side` a side that begin `before` pixels before what they give: [side]
// [side][tiles of these rows], zero outside of the picture.
void Gather(const float* x, const Tiling& tiling, int64_t channel, int64_t first_row, int64_t rows,
            int64_t side, int64_t before, float* to) {
  const int64_t n = rows * tiling.across;
  for (int64_t row = 0; row < rows; ++row) {
    const float* plane = x + tiling.Plane(first_row + row, channel);
    for (int64_t i = 0; i < side; ++i) {
      const int64_t y = tiling.Top(first_row + row) + i - before;
      float* out = to + i * side * n + row * tiling.across;
      if (y < 0 || y >= tiling.height) {
        for (int64_t k = 0; k < side; ++k) std::fill_n(out + k * n, tiling.across, 0.0F);
        continue;
      }
      const float* line = plane + y * tiling.width;
      for (int64_t k = 0; k < side; ++k) {
        const int64_t shift = k - before;
        // Tiles whose pixel is inside: from `begin` to `end`.
        const int64_t begin = shift < 0 ? 1 : 0;
        const int64_t end =
            std::clamp((tiling.width - shift + kOut - 1) / kOut, begin, tiling.across);
        float* spot = out + k * n;
        if (begin > 0) spot[0] = 0;
        for (int64_t j = begin; j < end; ++j) spot[j] = line[kOut * j + shift];
        std::fill(spot + end, spot + tiling.across, 0.0F);
      }
    }
  }
}

// What a thread works in: tiles before, between and after the two ways of a transform.
struct Scratch {
  explicit Scratch(int64_t n) : pixels(kSpots * n), half(kSpots * n) {}
  std::vector<float> pixels, half;
};

// Of rows of tiles, [36, C, tiles]: as the filters see them.
torch::Tensor TilesOf(const torch::Tensor& x, const Tiling& tiling, int64_t first_row,
                      int64_t rows) {
  const int64_t n = rows * tiling.across;
  auto spots = torch::empty({kSpots, tiling.channels, n}, x.options());
  const float* from = x.const_data_ptr<float>();
  auto* to = spots.mutable_data_ptr<float>();
  at::parallel_for(0, tiling.channels, 1, [&](int64_t begin, int64_t end) {
    Scratch scratch(n);
    for (int64_t c = begin; c < end; ++c) {
      Gather(from, tiling, c, first_row, rows, kIn, 1, scratch.pixels.data());
      Twice(ToSpots, kIn, kIn, scratch.pixels.data(), n, scratch.half.data(), to + c * n,
            tiling.channels * n, n);
    }
  });
  return spots;
}

// Writes channels of the picture from [36, channels, tiles], and adds the bias (null: none).
void WritePixels(const torch::Tensor& spots, const Tiling& tiling, int64_t first_row, int64_t rows,
                 int64_t first_channel, const float* bias, torch::Tensor& y) {
  const int64_t n = rows * tiling.across, channels = spots.size(1);
  const float* from = spots.const_data_ptr<float>();
  auto* to = y.mutable_data_ptr<float>();
  at::parallel_for(0, channels, 1, [&](int64_t begin, int64_t end) {
    Scratch scratch(n);
    for (int64_t o = begin; o < end; ++o) {
      Twice(ToPixels, kIn, kOut, from + o * n, channels * n, scratch.half.data(),
            scratch.pixels.data(), n, n);
      const float shift = bias == nullptr ? 0 : bias[first_channel + o];
      for (int64_t row = 0; row < rows; ++row) {
        float* plane = to + tiling.Plane(first_row + row, first_channel + o);
        const int64_t top = tiling.Top(first_row + row);
        for (int64_t i = 0; i < std::min(kOut, tiling.height - top); ++i) {
          float* line = plane + (top + i) * tiling.width;
          for (int64_t k = 0; k < kOut; ++k) {
            const float* spot = scratch.pixels.data() + (i * kOut + k) * n + row * tiling.across;
            const int64_t end_of = (tiling.width - k + kOut - 1) / kOut;
            for (int64_t j = 0; j < end_of; ++j) line[kOut * j + k] = spot[j] + shift;
          }
        }
      }
    }
  });
}

// Of the gradient of channels of the output, [36, channels, tiles]: the adjoint.
torch::Tensor GradientTilesOf(const torch::Tensor& dy, const Tiling& tiling, int64_t first_row,
                              int64_t rows, int64_t first_channel, int64_t channels) {
  const int64_t n = rows * tiling.across;
  auto spots = torch::empty({kSpots, channels, n}, dy.options());
  const float* from = dy.const_data_ptr<float>();
  auto* to = spots.mutable_data_ptr<float>();
  at::parallel_for(0, channels, 1, [&](int64_t begin, int64_t end) {
    Scratch scratch(n);
    for (int64_t o = begin; o < end; ++o) {
      Gather(from, tiling, first_channel + o, first_row, rows, kOut, 0, scratch.pixels.data());
      Twice(FromPixels, kOut, kIn, scratch.pixels.data(), n, scratch.half.data(), to + o * n,
            channels * n, n);
    }
  });
  return spots;
}

// [36, filters, C] of these filters of weight [O, C, 3, 3].
torch::Tensor FiltersOf(const torch::Tensor& weight, int64_t first, int64_t filters) {
  const int64_t n = weight.size(1);
  auto spots = torch::empty({kSpots, filters, n}, weight.options());
  const float* from = weight.const_data_ptr<float>();
  auto* to = spots.mutable_data_ptr<float>();
  at::parallel_for(0, filters, 1, [&](int64_t begin, int64_t end) {
    Scratch scratch(n);
    for (int64_t o = begin; o < end; ++o) {
      const float* filter = from + (first + o) * n * 9;
      for (int64_t c = 0; c < n; ++c) {
        for (int64_t k = 0; k < 9; ++k) scratch.pixels[k * n + c] = filter[c * 9 + k];
      }
      Twice(WeightToSpots, 3, kIn, scratch.pixels.data(), n, scratch.half.data(), to + o * n,
            filters * n, n);
    }
  });
  return spots;
}

// Writes the gradients of these filters from [36, filters, C]: the adjoint.
void WriteFilters(const torch::Tensor& spots, int64_t first, torch::Tensor& weight) {
  const int64_t n = weight.size(1), filters = spots.size(1);
  const float* from = spots.const_data_ptr<float>();
  auto* to = weight.mutable_data_ptr<float>();
  at::parallel_for(0, filters, 1, [&](int64_t begin, int64_t end) {
    Scratch scratch(n);
    for (int64_t o = begin; o < end; ++o) {
      Twice(SpotsToWeight, kIn, 3, from + o * n, filters * n, scratch.half.data(),
            scratch.pixels.data(), n, n);
      float* filter = to + (first + o) * n * 9;
      for (int64_t c = 0; c < n; ++c) {
        for (int64_t k = 0; k < 9; ++k) filter[c * 9 + k] = scratch.pixels[k * n + c];
      }
    }
  });
}

// Calls `use(first, count)` for parts of `total` of at most `most`.
template <typename Use>
void InParts(int64_t total, int64_t most, const Use& use) {
  for (int64_t first = 0; first < total; first += most) use(first, std::min(most, total - first));
}

// Calls use(first filter, filters, their transform, first row, rows), for all filters and rows of
// tiles. Where the weights are large, a part of them at once and all tiles; otherwise all of them
// and some of the tiles.
template <typename Use>
void InBlocks(const torch::Tensor& weight, const Tiling& tiling, const Use& use) {
  const int64_t filters = weight.size(0), floats = kSpots * weight.size(1);
  const int64_t most_rows = std::max<int64_t>(1, kBlockTiles / tiling.across);
  if (filters * floats <= kBlockFloats) {
    const auto spots = FiltersOf(weight, 0, filters);
    InParts(tiling.rows, most_rows,
            [&](int64_t row, int64_t rows) { use(0, filters, spots, row, rows); });
    return;
  }
  InParts(filters, std::max<int64_t>(1, kBlockFloats / 8 / floats),
          [&](int64_t first, int64_t count) {
            use(first, count, FiltersOf(weight, first, count), 0, tiling.rows);
          });
}

torch::Tensor Convolved(const torch::Tensor& x, const torch::Tensor& weight,
                        const torch::Tensor& bias) {
  const Tiling seen(x);
  auto y = torch::empty({x.size(0), weight.size(0), x.size(2), x.size(3)}, x.options());
  const Tiling given(y);
  const float* shifts = bias.defined() ? bias.const_data_ptr<float>() : nullptr;
  torch::Tensor tiles;
  int64_t tiles_row = -1;
  InBlocks(weight, seen,
           [&](int64_t first, int64_t, const torch::Tensor& filters, int64_t row, int64_t rows) {
             if (tiles_row != row) tiles = TilesOf(x, seen, row, rows);
             tiles_row = row;
             WritePixels(filters.bmm(tiles), given, row, rows, first, shifts, y);
           });
  return y;
}

class Winograd : public torch::autograd::Function<Winograd> {
 public:
  static torch::Tensor forward(torch::autograd::AutogradContext* context, const torch::Tensor& x,
                               const torch::Tensor& weight,
                               const std::optional<torch::Tensor>& bias) {
    SaveOperands(context, x, weight, bias);
    return Convolved(x, weight, bias.value_or(torch::Tensor()));
  }

  static torch::autograd::variable_list backward(torch::autograd::AutogradContext* context,
                                                 torch::autograd::variable_list gradients) {
    const auto saved = context->get_saved_variables();
    const auto dy = gradients[0].contiguous();
    torch::Tensor of_x, of_weight, of_bias;
    if (context->needs_input_grad(0)) of_x = OfInput(dy, saved[1]);
    if (context->needs_input_grad(1)) of_weight = OfWeight(dy, saved[0]);
    if (NeedsBiasGradient(context)) of_bias = dy.sum({0, 2, 3});
    return {of_x, of_weight, of_bias};
  }

 private:
  // A convolution too, with the filters turned round.
  static torch::Tensor OfInput(const torch::Tensor& dy, const torch::Tensor& weight) {
    return Convolved(dy, weight.transpose(0, 1).flip({2, 3}).contiguous(), {});
  }

  static torch::Tensor OfWeight(const torch::Tensor& dy, const torch::Tensor& x) {
    const Tiling seen(x), given(dy);
    auto gradient = torch::empty({dy.size(1), x.size(1), 3, 3}, x.options());
    const auto tiles = TilesOf(x, seen, 0, seen.rows);
    InParts(dy.size(1), std::max<int64_t>(1, kBlockFloats / 8 / (kSpots * x.size(1))),
            [&](int64_t first, int64_t count) {
              const auto spots = GradientTilesOf(dy, given, 0, given.rows, first, count);
              WriteFilters(spots.bmm(tiles.transpose(1, 2)), first, gradient);
            });
    return gradient;
  }
};

}  // namespace

bool WinogradPays(const torch::Tensor& x, const torch::Tensor& weight) {
  if (!x.is_cpu() || x.scalar_type() != torch::kFloat32 || x.dim() != 4 ||
      weight.scalar_type() != torch::kFloat32 || weight.size(2) != 3 || weight.size(3) != 3) {
    return false;
  }
  const Tiling tiling(x);
  return std::min(weight.size(0), weight.size(1)) >= kFewestChannels &&
         std::min(tiling.down, tiling.across) >= kFewestAlong && tiling.tiles() >= kFewestTiles;
}

torch::Tensor WinogradConvolve(const torch::Tensor& x, const torch::Tensor& weight,
                               const torch::Tensor& bias) {
  if (!torch::GradMode::is_enabled()) return Convolved(x.contiguous(), weight.contiguous(), bias);
  return Winograd::apply(x.contiguous(), weight.contiguous(), Given(bias));
}

}  // namespace likeness

#include "worker/nn/unfolded_convolution.h"

#include <ATen/Dispatch.h>
#include <ATen/Parallel.h>

#include <algorithm>
#include <cstdint>
#include <optional>
#include <vector>

#include "worker/nn/product_gradients.h"
#include "worker/nn/project.h"

namespace likeness {
namespace {

constexpr int64_t kLargeWeight = int64_t{1} << 22;   // numbers
constexpr int64_t kSide = 3, kSeen = kSide * kSide;  // pixels that a filter sees

struct Size {
  int64_t batch, channels, height, width;

  explicit Size(torch::IntArrayRef x_BCHW)
      : batch(x_BCHW[0]), channels(x_BCHW[1]), height(x_BCHW[2]), width(x_BCHW[3]) {}
  int64_t pixels() const { return height * width; }
  int64_t rows() const { return batch * pixels(); }  // of the matrix
};

// Calls f(spot, other) for every other pixel that the filter at (y, x) sees.
template <typename F>
void ForEachSeen(const Size& size, int64_t y, int64_t x, F f) {
  for (int64_t spot = 0; spot < kSeen; ++spot) {
    const int64_t seen_y = y + spot / kSide - 1, seen_x = x + spot % kSide - 1;
    if (seen_y < 0 || seen_y >= size.height || seen_x < 0 || seen_x >= size.width) continue;
    f(spot, seen_y * size.width + seen_x);
  }
}

// Calls f(picture, first channel, end of the channels) on all threads.
template <typename F>
void ForChannels(const Size& size, F f) {
  at::parallel_for(0, size.batch * size.channels, 8, [&](int64_t begin, int64_t end) {
    while (begin < end) {
      const int64_t picture = begin / size.channels;
      const int64_t part_end = std::min(end, (picture + 1) * size.channels);
      f(picture, begin - picture * size.channels, part_end - picture * size.channels);
      begin = part_end;
    }
  });
}

// What the filters see at each pixel, [B H W, C 9], in the order of the weights' numbers.
torch::Tensor Unfold(const torch::Tensor& x_BCHW) {
  const Size size(x_BCHW.sizes());
  const int64_t row = size.channels * kSeen;
  auto unfolded = torch::zeros({size.rows(), row}, x_BCHW.options());
  AT_DISPATCH_FLOATING_TYPES_AND2(
      torch::kBFloat16, torch::kHalf, x_BCHW.scalar_type(), "Unfold", [&] {
        const auto* from = x_BCHW.const_data_ptr<scalar_t>();
        auto* to = unfolded.mutable_data_ptr<scalar_t>();
        ForChannels(size, [&](int64_t picture, int64_t first, int64_t end) {
          for (int64_t c = first; c < end; ++c) {
            const scalar_t* plane = from + (picture * size.channels + c) * size.pixels();
            scalar_t* spots = to + picture * size.pixels() * row + c * kSeen;
            for (int64_t i = 0; i < size.pixels(); ++i, spots += row) {
              ForEachSeen(size, i / size.width, i % size.width,
                          [&](int64_t spot, int64_t other) { spots[spot] = plane[other]; });
            }
          }
        });
      });
  return unfolded;
}

// The same with the channels side by side, [B H W, 9 C].
torch::Tensor UnfoldChannelsLast(const torch::Tensor& x_BCHW) {
  return torch::constant_pad_nd(x_BCHW.permute({0, 2, 3, 1}), {0, 0, 1, 1, 1, 1})
      .unfold(1, kSide, 1)
      .unfold(2, kSide, 1)
      .permute({0, 1, 2, 4, 5, 3})
      .reshape({-1, kSeen * x_BCHW.size(1)});
}

// The sums, in float32, of what stands for each pixel in a matrix as Unfold() gives it.
torch::Tensor Fold(const torch::Tensor& unfolded, torch::IntArrayRef sizes_BCHW) {
  const Size size(sizes_BCHW);
  const int64_t row = size.channels * kSeen;
  auto x = torch::empty(sizes_BCHW, unfolded.options());
  AT_DISPATCH_FLOATING_TYPES_AND2(
      torch::kBFloat16, torch::kHalf, unfolded.scalar_type(), "Fold", [&] {
        const auto* from = unfolded.const_data_ptr<scalar_t>();
        auto* to = x.mutable_data_ptr<scalar_t>();
        ForChannels(size, [&](int64_t picture, int64_t first, int64_t end) {
          std::vector<float> sums(size.pixels());
          for (int64_t c = first; c < end; ++c) {
            std::fill(sums.begin(), sums.end(), 0.0F);
            const scalar_t* spots = from + picture * size.pixels() * row + c * kSeen;
            for (int64_t i = 0; i < size.pixels(); ++i, spots += row) {
              ForEachSeen(size, i / size.width, i % size.width, [&](int64_t spot, int64_t other) {
                sums[other] += static_cast<float>(spots[spot]);
              });
            }
            std::copy(sums.begin(), sums.end(), to + (picture * size.channels + c) * size.pixels());
          }
        });
      });
  return x;
}

// [O, C 3 3] or, channels last, [O, 3 3 C]: the weights as they lie in memory.
torch::Tensor MatrixOf(const torch::Tensor& weight) {
  return weight.is_contiguous() ? weight.flatten(1) : weight.permute({0, 2, 3, 1}).flatten(1);
}

// [B H W, O]
torch::Tensor RowsOf(const torch::Tensor& y_BOHW) {
  return y_BOHW.permute({0, 2, 3, 1}).reshape({-1, y_BOHW.size(1)});
}

torch::Tensor UnfoldedProduct(const torch::Tensor& x, const torch::Tensor& weight,
                              const torch::Tensor& bias) {
  const auto unfolded = weight.is_contiguous() ? Unfold(x.contiguous()) : UnfoldChannelsLast(x);
  const auto y = Project(unfolded, MatrixOf(weight), bias)
                     .view({x.size(0), x.size(2), x.size(3), weight.size(0)})
                     .permute({0, 3, 1, 2});
  return weight.is_contiguous() ? y.contiguous() : y;
}

class UnfoldedFunction : public torch::autograd::Function<UnfoldedFunction> {
 public:
  static torch::Tensor forward(torch::autograd::AutogradContext* context, const torch::Tensor& x,
                               const torch::Tensor& weight,
                               const std::optional<torch::Tensor>& bias) {
    SaveOperands(context, x, weight, bias);
    context->saved_data["x"] = x.sizes();
    context->saved_data["weight"] = weight.sizes();
    return UnfoldedProduct(x, weight, bias.value_or(torch::Tensor()));
  }

  static torch::autograd::variable_list backward(torch::autograd::AutogradContext* context,
                                                 torch::autograd::variable_list gradients) {
    const auto saved = context->get_saved_variables();
    const torch::Tensor &x = saved[0], &weight = saved[1];
    const auto dy = RowsOf(gradients[0]);
    torch::Tensor of_x, of_weight, of_bias;
    if (context->needs_input_grad(0)) {
      of_x = Fold(dy.mm(MatrixOf(weight)), context->saved_data["x"].toIntVector());
    }
    if (context->needs_input_grad(1)) {
      // Twice as fast as with rows that lie apart.
      of_weight =
          dy.t().contiguous().mm(Unfold(x)).view(context->saved_data["weight"].toIntVector());
    }
    if (NeedsBiasGradient(context)) of_bias = dy.sum(0);
    return {of_x, of_weight, of_bias};
  }
};

}  // namespace

bool UnfoldingPays(const torch::Tensor& x, const torch::Tensor& weight) {
  return x.is_cpu() && x.dim() == 4 && x.scalar_type() == weight.scalar_type() &&
         weight.size(2) == kSide && weight.size(3) == kSide && weight.numel() >= kLargeWeight &&
         Size(x.sizes()).rows() <= weight.size(0);
}

torch::Tensor UnfoldedConvolve(const torch::Tensor& x, const torch::Tensor& weight,
                               const torch::Tensor& bias) {
  if (!torch::GradMode::is_enabled()) return UnfoldedProduct(x, weight, bias);
  return UnfoldedFunction::apply(x.contiguous(), weight.contiguous(), Given(bias));
}

}  // namespace likeness

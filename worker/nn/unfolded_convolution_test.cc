#include "worker/nn/unfolded_convolution.h"

#include <gtest/gtest.h>

#include <cmath>
#include <vector>

#include "worker/nn/relative_error.h"

namespace likeness {
namespace {

struct UnfoldedCase {
  torch::Tensor x, weight, bias;

  static UnfoldedCase Make(torch::IntArrayRef shape, int64_t out_channels) {
    torch::manual_seed(1);
    return {torch::randn(shape),
            torch::randn({out_channels, shape[1], 3, 3}) / std::sqrt(9.0 * shape[1]),
            torch::randn({out_channels})};
  }
  // The same numbers, with gradients asked for.
  UnfoldedCase To(torch::ScalarType dtype) const {
    auto leaf = [dtype](const torch::Tensor& t) { return t.to(dtype).detach().requires_grad_(); };
    return {leaf(x), leaf(weight), leaf(bias)};
  }
  torch::Tensor Direct() const {
    return torch::conv2d(x, weight, bias, /*stride=*/1, /*padding=*/1);
  }
  torch::Tensor Unfolded() const { return UnfoldedConvolve(x, weight, bias); }
  std::vector<torch::Tensor> Gradients(const torch::Tensor& y, const torch::Tensor& dy) const {
    return torch::autograd::grad({y}, {x, weight, bias}, {dy.to(y.scalar_type())});
  }
};

TEST(UnfoldedConvolution, GivesWhatTheDirectSumGivesAndItsGradients) {
  for (const std::vector<int64_t>& shape :
       {std::vector<int64_t>{2, 40, 8, 6}, {1, 3, 1, 1}, {3, 16, 1, 5}}) {
    SCOPED_TRACE(shape[1]);
    const auto layer = UnfoldedCase::Make(shape, 24);
    const auto exact = layer.To(torch::kFloat64), actual = layer.To(torch::kFloat32);
    const auto y = actual.Unfolded(), exact_y = exact.Direct();
    EXPECT_LT(RelativeError(y, exact_y), 1e-6);
    const auto dy = torch::randn_like(y);
    const auto grads = actual.Gradients(y, dy), exact_grads = exact.Gradients(exact_y, dy);
    for (size_t i = 0; i < grads.size(); ++i)
      EXPECT_LT(RelativeError(grads[i], exact_grads[i]), 1e-6) << i;
  }
}

TEST(UnfoldedConvolution, IsAsExactAsTheDirectSumInBfloat16) {
  const auto layer = UnfoldedCase::Make({2, 64, 8, 8}, 96);
  const auto own = layer.To(torch::kBFloat16), direct = layer.To(torch::kBFloat16);
  // The same rounded numbers.
  const UnfoldedCase rounded{own.x.detach(), own.weight.detach(), own.bias.detach()};
  const auto exact = rounded.To(torch::kFloat64);
  const auto own_y = own.Unfolded(), direct_y = direct.Direct(), exact_y = exact.Direct();
  EXPECT_LT(RelativeError(own_y, exact_y), 1.25 * RelativeError(direct_y, exact_y));
  const auto dy = torch::randn_like(own_y);
  const auto own_grads = own.Gradients(own_y, dy), direct_grads = direct.Gradients(direct_y, dy),
             exact_grads = exact.Gradients(exact_y, dy);
  // The gradient of x is rounded for each of the nine pixels that see it, and again as their sum.
  const std::vector<double> allowed{2, 1.25, 1.25};
  for (size_t i = 0; i < own_grads.size(); ++i) {
    EXPECT_LT(RelativeError(own_grads[i], exact_grads[i]),
              allowed[i] * RelativeError(direct_grads[i], exact_grads[i]))
        << i;
  }
}

TEST(UnfoldedConvolution, TakesWeightsThatAreChannelsLast) {
  const auto layer = UnfoldedCase::Make({2, 40, 8, 6}, 24);
  torch::NoGradGuard no_grad;
  const auto format = torch::MemoryFormat::ChannelsLast;
  for (const auto& x : {layer.x, layer.x.contiguous(format)}) {
    const auto y = UnfoldedConvolve(x, layer.weight.contiguous(format), layer.bias);
    EXPECT_LT(RelativeError(y, layer.Direct()), 1e-6);
    EXPECT_TRUE(y.is_contiguous(format));
  }
}

TEST(UnfoldedConvolution, FrozenWeightsLetTheGradientThrough) {
  const auto layer = UnfoldedCase::Make({1, 8, 4, 4}, 8);
  const auto x = layer.x.clone().requires_grad_();
  UnfoldedConvolve(x, layer.weight, layer.bias).sum().backward();
  const auto direct = layer.x.clone().requires_grad_();
  torch::conv2d(direct, layer.weight, layer.bias, /*stride=*/1, /*padding=*/1).sum().backward();
  EXPECT_LT(RelativeError(x.grad(), direct.grad()), 1e-6);
}

TEST(UnfoldedConvolution, PaysForLargeWeightsAndFewPixels) {
  const auto weight = torch::empty({1280, 640, 3, 3});
  EXPECT_TRUE(UnfoldingPays(torch::empty({2, 640, 16, 16}), weight));
  EXPECT_FALSE(UnfoldingPays(torch::empty({2, 640, 32, 32}), weight));  // many pixels
  EXPECT_FALSE(UnfoldingPays(torch::empty({2, 64, 8, 8}), torch::empty({1280, 64, 3, 3})));
  EXPECT_FALSE(UnfoldingPays(torch::empty({2, 2560, 8, 8}), torch::empty({1280, 2560, 1, 1})));
}

}  // namespace
}  // namespace likeness

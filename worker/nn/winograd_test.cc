#include "worker/nn/winograd.h"

#include <gtest/gtest.h>

#include <cmath>
#include <vector>

#include "worker/nn/relative_error.h"

namespace likeness {
namespace {

// x [B, C, H, W], weight [O, C, 3, 3], bias [O] or undefined, all with gradients asked for.
struct Convolution {
  torch::Tensor x, weight, bias;

  static Convolution Make(torch::IntArrayRef shape, int64_t out_channels, bool biased = true) {
    torch::manual_seed(1);
    const auto weight = torch::randn({out_channels, shape[1], 3, 3}) / std::sqrt(9.0 * shape[1]);
    return {torch::randn(shape).requires_grad_(), weight.requires_grad_(),
            biased ? torch::randn({out_channels}).requires_grad_() : torch::Tensor()};
  }
  std::vector<torch::Tensor> inputs() const {
    return bias.defined() ? std::vector{x, weight, bias} : std::vector{x, weight};
  }
  // The exact result, nearly.
  torch::Tensor Exact() const {
    const auto shift = bias.defined() ? bias.to(torch::kFloat64) : torch::Tensor();
    return torch::conv2d(x.to(torch::kFloat64), weight.to(torch::kFloat64), shift, /*stride=*/1,
                         /*padding=*/1);
  }
};

void ExpectNearlyExact(const torch::Tensor& actual, const torch::Tensor& exact) {
  ASSERT_EQ(actual.sizes(), exact.sizes());
  // 1.4e-6 by MKL's sums with AVX2, 1.9e-6 with AVX-512; twice that with the usual points.
  EXPECT_LT(RelativeError(actual, exact), 2.5e-6);
}

void ExpectAsConvolution(const Convolution& layer) {
  const auto actual = WinogradConvolve(layer.x, layer.weight, layer.bias);
  const auto exact = layer.Exact();
  ExpectNearlyExact(actual, exact);
  const auto upstream = torch::randn_like(actual);
  const auto actual_grads = torch::autograd::grad({actual}, layer.inputs(), {upstream});
  const auto exact_grads =
      torch::autograd::grad({exact}, layer.inputs(), {upstream.to(torch::kFloat64)});
  for (size_t i = 0; i < exact_grads.size(); ++i) {
    SCOPED_TRACE(i);
    ExpectNearlyExact(actual_grads[i], exact_grads[i].to(torch::kFloat64));
  }
  torch::NoGradGuard no_grad;
  EXPECT_TRUE(torch::equal(WinogradConvolve(layer.x, layer.weight, layer.bias), actual));
}

TEST(Winograd, GivesWhatTheDirectSumGivesAndItsGradients) {
  ExpectAsConvolution(Convolution::Make({2, 64, 16, 16}, 96));
  ExpectAsConvolution(Convolution::Make({1, 48, 20, 12}, 24, /*biased=*/false));
}

TEST(Winograd, SidesNeedNotBeMultiplesOfATile) {
  for (const int64_t height : {1, 2, 3, 5, 17}) {
    for (const int64_t width : {1, 4, 6, 7, 19}) {
      SCOPED_TRACE(testing::Message() << height << " x " << width);
      ExpectAsConvolution(Convolution::Make({2, 16, height, width}, 8));
    }
  }
}

TEST(Winograd, MoreTilesThanAreTransformedTogetherAndLargeWeightsAreTakenInParts) {
  ExpectAsConvolution(Convolution::Make({3, 8, 72, 64}, 16));
  ExpectAsConvolution(Convolution::Make({2, 704, 8, 12}, 704));
}

TEST(Winograd, TakesViewsThatAreNotContiguous) {
  const Convolution layer = Convolution::Make({2, 16, 8, 12}, 8);
  const auto turned = layer.x.transpose(2, 3);
  ExpectNearlyExact(WinogradConvolve(turned, layer.weight, layer.bias),
                    Convolution{turned, layer.weight, layer.bias}.Exact());
}

TEST(Winograd, GivesGradientsOnlyWhereTheyAreAskedFor) {
  const Convolution layer = Convolution::Make({2, 16, 8, 8}, 8);
  const auto frozen = WinogradConvolve(layer.x, layer.weight.detach(), layer.bias.detach());
  EXPECT_TRUE(torch::autograd::grad({frozen.sum()}, {layer.x})[0].defined());
  const auto first = WinogradConvolve(layer.x.detach(), layer.weight, layer.bias);
  EXPECT_TRUE(torch::autograd::grad({first.sum()}, {layer.weight})[0].defined());
}

TEST(WinogradPays, OfManyChannelsAndEnoughPixelsInFloat32) {
  const auto pays = [](torch::IntArrayRef shape, int64_t out, int64_t kernel = 3,
                       torch::ScalarType type = torch::kFloat32) {
    return WinogradPays(torch::empty(shape, type),
                        torch::empty({out, shape[1], kernel, kernel}, type));
  };
  EXPECT_TRUE(pays({2, 320, 64, 64}, 320));
  EXPECT_TRUE(pays({2, 1280, 16, 16}, 1280));
  EXPECT_FALSE(pays({2, 1280, 8, 8}, 1280));
  EXPECT_FALSE(pays({2, 4, 64, 64}, 320));
  EXPECT_FALSE(pays({2, 320, 64, 64}, 4));
  EXPECT_FALSE(pays({2, 320, 64, 64}, 320, /*kernel=*/1));
  EXPECT_FALSE(pays({2, 320, 64, 64}, 320, /*kernel=*/3, torch::kBFloat16));
}

}  // namespace
}  // namespace likeness

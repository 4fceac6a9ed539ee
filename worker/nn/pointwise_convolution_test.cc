#include "worker/nn/pointwise_convolution.h"

#include <gtest/gtest.h>

#include <vector>

#include "worker/nn/relative_error.h"

namespace likeness {
namespace {

std::vector<torch::Tensor> ResultAndGradients(bool product,
                                              const std::vector<torch::Tensor>& inputs,
                                              const torch::Tensor& dy, torch::ScalarType dtype) {
  std::vector<torch::Tensor> leaves;
  for (const auto& input : inputs) leaves.push_back(input.to(dtype).detach().requires_grad_());
  const auto bias = leaves.size() > 2 ? leaves[2] : torch::Tensor();
  auto results = {product ? PointwiseConvolve(leaves[0], leaves[1], bias)
                          : torch::conv2d(leaves[0], leaves[1], bias)};
  auto all = torch::autograd::grad(results, leaves, {dy.to(dtype)});
  all.insert(all.begin(), *results.begin());
  return all;
}

void ExpectExact(const std::vector<torch::Tensor>& inputs, int64_t out_channels) {
  const auto& x = inputs[0];
  const auto dy = torch::randn({x.size(0), out_channels, x.size(2), x.size(3)});
  const auto actual = ResultAndGradients(/*product=*/true, inputs, dy, torch::kFloat32);
  const auto exact = ResultAndGradients(/*product=*/false, inputs, dy, torch::kFloat64);
  ASSERT_EQ(actual.size(), inputs.size() + 1);
  for (size_t i = 0; i < actual.size(); ++i) {
    SCOPED_TRACE(i);
    ASSERT_EQ(actual[i].sizes(), exact[i].sizes());
    EXPECT_LT(RelativeError(actual[i], exact[i]), 1e-6);
  }
  torch::NoGradGuard no_grad;
  const auto bias = inputs.size() > 2 ? inputs[2] : torch::Tensor();
  EXPECT_LT(RelativeError(PointwiseConvolve(x, inputs[1], bias), exact[0]), 1e-6);
}

TEST(PointwiseConvolution, GivesWhatTheDirectSumGivesAndItsGradients) {
  const auto x = torch::randn({3, 20, 6, 5}), weight = torch::randn({24, 20, 1, 1});
  ExpectExact({x, weight, torch::randn({24})}, 24);
  ExpectExact({x, weight}, 24);
  ExpectExact({x.contiguous(torch::MemoryFormat::ChannelsLast), weight, torch::randn({24})}, 24);
  ExpectExact({torch::randn({1, 20, 1, 1}), weight, torch::randn({24})}, 24);
}

TEST(PointwiseConvolution, TheGradientLiesAsWhatItIsOfDoes) {
  const auto weight = torch::randn({24, 20, 1, 1});
  for (const auto format : {torch::MemoryFormat::Contiguous, torch::MemoryFormat::ChannelsLast}) {
    const auto x = torch::randn({2, 20, 4, 6}).contiguous(format).requires_grad_();
    const auto y = PointwiseConvolve(x, weight, {});
    EXPECT_TRUE(y.is_contiguous());
    const auto of_x = torch::autograd::grad({y}, {x}, {torch::randn_like(y)})[0];
    EXPECT_TRUE(of_x.is_contiguous(format));
  }
}

TEST(PointwiseConvolution, IsForFloat32OfOnePixelAlone) {
  const auto x = torch::randn({2, 20, 4, 6}), weight = torch::randn({24, 20, 1, 1});
  EXPECT_TRUE(PointwiseProductPays(x, weight));
  EXPECT_FALSE(PointwiseProductPays(x, torch::randn({24, 20, 3, 3})));
  EXPECT_FALSE(PointwiseProductPays(x.to(torch::kBFloat16), weight.to(torch::kBFloat16)));
}

}  // namespace
}  // namespace likeness

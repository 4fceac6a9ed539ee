#include "worker/nn/packed_weights.h"

#include <gtest/gtest.h>

#include <vector>

#include "worker/nn/one_dnn.h"
#include "worker/nn/relative_error.h"

namespace likeness {
namespace {

class NetImpl : public torch::nn::Module {
 public:
  NetImpl() {
    register_module("linear", linear);
    register_module("conv", conv);
    register_module("strided", strided);
    register_module("pointwise", pointwise);
  }
  // Of x [B, 16, H, W], what each layer gives, flattened and joined.
  torch::Tensor forward(const torch::Tensor& x) {
    const auto all = {linear(x.flatten(2).transpose(1, 2)), conv(x), strided(x), pointwise(x)};
    std::vector<torch::Tensor> flat;
    for (const auto& y : all) flat.push_back(y.to(torch::kFloat32).contiguous().flatten());
    return torch::cat(flat);
  }

  Linear linear{16, 24, /*with_bias=*/false};
  Conv2d conv{Conv2dOptions{.in_channels = 16, .out_channels = 40}};
  Conv2d strided{Conv2dOptions{.in_channels = 16, .out_channels = 8, .stride = 2}};
  Conv2d pointwise = PointwiseConv(16, 8);
};
TORCH_MODULE(Net);

class PackedWeightsTest : public testing::TestWithParam<c10::ScalarType> {
 protected:
  void SetUp() override {
    if (!one_dnn::Computes(torch::kCPU, GetParam())) GTEST_SKIP() << "not by oneDNN here";
  }
  torch::NoGradGuard no_grad_;
};

TEST_P(PackedWeightsTest, LayersGiveWhatTheyGive) {
  Net net;
  net->to(GetParam());
  std::vector<torch::Tensor> inputs, plain;
  for (const auto format : {torch::MemoryFormat::Contiguous, torch::MemoryFormat::ChannelsLast}) {
    for (const int64_t height : {10, 4, 16}) {  // packed anew for each
      inputs.push_back(torch::randn({3, 16, height, 6}).to(GetParam()).contiguous(format));
      plain.push_back(net->forward(inputs.back()));
    }
  }
  {
    PackedWeights packed;
    packed.Pack(*net, GetParam());
    EXPECT_TRUE(IsPacked(*net->linear, net->linear->weight));
    EXPECT_TRUE(IsPacked(*net->strided, net->strided->weight));
    for (size_t i = 0; i < inputs.size(); ++i) {
      SCOPED_TRACE(i);
      EXPECT_LT(RelativeError(net->forward(inputs[i]), plain[i].to(torch::kFloat64)),
                GetParam() == torch::kFloat32 ? 1e-6 : 5e-3);
    }
  }
  EXPECT_FALSE(IsPacked(*net->linear, net->linear->weight));
  EXPECT_FALSE(IsPacked(*net->strided, net->strided->weight));
}

TEST_P(PackedWeightsTest, WeightsOfAnotherTypeAreRounded) {
  Net net;
  Net other;
  for (size_t i = 0; i < net->parameters().size(); ++i) {
    other->parameters()[i].copy_(net->parameters()[i]);
  }
  other->to(GetParam());
  PackedWeights packed;
  packed.Pack(*net, GetParam());
  for (auto& bias : {net->conv->bias, net->strided->bias, net->pointwise->bias}) {
    bias.set_data(bias.to(GetParam()));
  }
  const auto x = torch::randn({3, 16, 10, 6}).to(GetParam());
  EXPECT_LT(RelativeError(net->forward(x), other->forward(x).to(torch::kFloat64)), 5e-3);
  EXPECT_EQ(net->conv->weight.scalar_type(), torch::kFloat32);
}

INSTANTIATE_TEST_SUITE_P(Types, PackedWeightsTest,
                         testing::Values(torch::kFloat32, torch::kBFloat16),
                         [](const auto& info) { return c10::toString(info.param); });

TEST(PackedWeights, WhatIsPackedIsNotPackedAgain) {
  if (!one_dnn::Computes(torch::kCPU, torch::kFloat32)) GTEST_SKIP() << "no oneDNN";
  Net net;
  PackedWeights outer;
  outer.Pack(*net, torch::kFloat32);
  EXPECT_FALSE(IsPacked(*net->conv, net->conv->bias));
  {
    PackedWeights inner;
    inner.Pack(*net, torch::kFloat32);
  }
  EXPECT_TRUE(IsPacked(*net->conv, net->conv->weight));
  EXPECT_TRUE(IsPacked(*net->linear, net->linear->weight));
}

TEST(PackedWeights, WeightsThatAHookMayReadAreNotPacked) {
  if (!one_dnn::Computes(torch::kCPU, torch::kFloat32)) GTEST_SKIP() << "no oneDNN";
  Net net;
  LayerHook hook;
  const HookedLayer hooked(net->linear->hooks, hook);
  PackedWeights packed;
  packed.Pack(*net, torch::kFloat32);
  EXPECT_FALSE(IsPacked(*net->linear, net->linear->weight));
  EXPECT_TRUE(IsPacked(*net->conv, net->conv->weight));
}

TEST(PackedWeights, AHookThatComesLaterIsNotPassedOver) {
  class Doubles : public LayerHook {
    torch::Tensor After(const torch::Tensor&, torch::Tensor y) override { return 2 * y; }
  };
  torch::NoGradGuard no_grad;
  Net net;
  const auto x = torch::randn({1, 16, 4, 4});
  const auto linear = net->linear(x.flatten(2).transpose(1, 2)), conv = net->conv(x);
  PackedWeights packed;
  packed.Pack(*net, torch::kFloat32);
  Doubles hook;
  const HookedLayer over_linear(net->linear->hooks, hook), over_conv(net->conv->hooks, hook);
  EXPECT_LT(RelativeError(net->linear(x.flatten(2).transpose(1, 2)), 2 * linear), 1e-6);
  EXPECT_LT(RelativeError(net->conv(x), 2 * conv), 1e-6);
}

}  // namespace
}  // namespace likeness

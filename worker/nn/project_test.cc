#include "worker/nn/project.h"

#include <gtest/gtest.h>

#include <vector>

namespace likeness {
namespace {

// x [.., 24], weight [40, 24], bias [40] or undefined, all with gradients asked for.
struct Layer {
  torch::Tensor x, weight, bias;

  static Layer Make(torch::IntArrayRef leading, bool biased) {
    torch::manual_seed(1);
    std::vector<int64_t> shape = leading.vec();
    shape.push_back(24);
    return {torch::randn(shape).requires_grad_(), torch::randn({40, 24}).requires_grad_(),
            biased ? torch::randn({40}).requires_grad_() : torch::Tensor()};
  }
  std::vector<torch::Tensor> inputs() const {
    return bias.defined() ? std::vector{x, weight, bias} : std::vector{x, weight};
  }
};

void ExpectClose(const torch::Tensor& actual, const torch::Tensor& expected) {
  ASSERT_EQ(actual.sizes(), expected.sizes());
  EXPECT_TRUE(torch::allclose(actual, expected, /*rtol=*/1e-5, /*atol=*/1e-5))
      << (actual - expected).abs().max();
}

void ExpectAsLinear(const Layer& layer) {
  const auto actual = Project(layer.x, layer.weight, layer.bias);
  const auto expected = torch::linear(layer.x, layer.weight, layer.bias);
  ExpectClose(actual, expected);
  const auto upstream = torch::randn_like(expected);
  const auto actual_grads = torch::autograd::grad({actual}, layer.inputs(), {upstream});
  const auto expected_grads = torch::autograd::grad({expected}, layer.inputs(), {upstream});
  for (size_t i = 0; i < expected_grads.size(); ++i) {
    ExpectClose(actual_grads[i], expected_grads[i]);
  }
  torch::NoGradGuard no_grad;
  ExpectClose(Project(layer.x, layer.weight, layer.bias), expected);
}

TEST(Project, GivesWhatLinearGivesAndItsGradients) {
  ExpectAsLinear(Layer::Make({2, 7}, /*biased=*/true));
  ExpectAsLinear(Layer::Make({2, 7}, /*biased=*/false));
  ExpectAsLinear(Layer::Make({5}, /*biased=*/true));
}

TEST(Project, TakesViewsThatAreNotContiguous) {
  const Layer layer = Layer::Make({3, 7}, /*biased=*/true);
  const auto turned = layer.x.transpose(0, 1);
  ExpectClose(Project(turned, layer.weight, layer.bias),
              torch::linear(turned, layer.weight, layer.bias));
}

TEST(Project, GivesGradientsOnlyWhereTheyAreAskedFor) {
  const Layer layer = Layer::Make({2, 7}, /*biased=*/true);
  layer.weight.requires_grad_(false);
  layer.bias.requires_grad_(false);
  Project(layer.x, layer.weight, layer.bias).sum().backward();
  EXPECT_TRUE(layer.x.grad().defined());
  EXPECT_FALSE(layer.weight.grad().defined());
  EXPECT_FALSE(layer.bias.grad().defined());
}

TEST(Project, AFrozenWeightKeepsNoInputForTheBackwardPass) {
  const Layer layer = Layer::Make({2, 7}, /*biased=*/true);
  layer.weight.requires_grad_(false);
  layer.bias.requires_grad_(false);
  const auto x = layer.x * 2;
  const auto holders = x.use_count();
  const auto y = Project(x, layer.weight, layer.bias);
  EXPECT_EQ(x.use_count(), holders);
  y.sum().backward();
  EXPECT_TRUE(torch::allclose(layer.x.grad(), 2 * layer.weight.sum(0).expand({2, 7, 24})));

  const auto frozen_x = layer.x.detach();
  const auto trained = layer.weight.detach().requires_grad_();
  Project(frozen_x, trained, layer.bias).sum().backward();
  ExpectClose(trained.grad(), frozen_x.flatten(0, 1).sum(0).expand({40, 24}));
}

TEST(Project, ComputesInBfloat16WithAndWithoutGradients) {
  for (const bool with_gradients : {true, false}) {
    SCOPED_TRACE(with_gradients);
    torch::AutoGradMode mode(with_gradients);
    const Layer layer = Layer::Make({2, 7}, /*biased=*/true);
    const auto actual = Project(layer.x.to(torch::kBFloat16), layer.weight.to(torch::kBFloat16),
                                layer.bias.to(torch::kBFloat16));
    EXPECT_EQ(actual.scalar_type(), torch::kBFloat16);
    // Values of bfloat16 have 8 bits: the sum of 24 products is right to about 1 in 100.
    const auto exact = torch::linear(layer.x, layer.weight, layer.bias);
    EXPECT_TRUE(torch::allclose(actual.to(torch::kFloat32), exact, /*rtol=*/2e-2, /*atol=*/5e-2))
        << (actual.to(torch::kFloat32) - exact).abs().max();
  }
}

}  // namespace
}  // namespace likeness

#include "mini/pretrain_optimizer.h"

#include <gtest/gtest.h>

namespace likeness::mini {
namespace {

TEST(Orthogonalize, BringsSingularValuesNearOne) {
  torch::manual_seed(0);
  for (const auto& shape : {std::vector<int64_t>{24, 24}, {8, 72}, {72, 8}}) {
    const auto values = torch::linalg_svdvals(Orthogonalize(torch::randn(shape)), std::nullopt);
    EXPECT_GT(values.min().item<double>(), 0.4);
    EXPECT_LT(values.max().item<double>(), 1.3);
  }
}

TEST(PretrainOptimizer, MovesMatricesByALengthThatDoesNotDependOnTheGradients) {
  auto moved = [](double gradient_scale) {
    torch::manual_seed(1);
    auto weight = torch::zeros({4, 6, 3, 3}, torch::requires_grad());
    PretrainOptimizer optimizer({{"layer.weight", weight}}, {.muon_learning_rate = 0.02});
    weight.mutable_grad() = torch::randn({4, 6, 3, 3}) * gradient_scale;
    optimizer.Step(1);
    return weight.detach().norm().item<double>();
  };
  EXPECT_GT(moved(1), 0.01);
  EXPECT_NEAR(moved(1), moved(1000), 1e-4);
}

TEST(PretrainOptimizer, WithoutMuonMovesEveryWeightByTheLearningRate) {
  auto weight = torch::zeros({4, 6, 3, 3}, torch::requires_grad());
  PretrainOptimizer optimizer({{"layer.weight", weight}}, {.adamw_learning_rate = 1e-3});
  weight.mutable_grad() = torch::full({4, 6, 3, 3}, 0.01F);
  optimizer.Step(1);
  EXPECT_NEAR(weight.detach().min().item<double>(), -1e-3, 1e-6);
  EXPECT_NEAR(weight.detach().max().item<double>(), -1e-3, 1e-6);
}

TEST(PretrainOptimizer, ReleasesEveryGradient) {
  auto matrix = torch::ones({3, 3, 3, 3}, torch::requires_grad());
  auto bias = torch::ones({3}, torch::requires_grad());
  PretrainOptimizer optimizer({{"layer.weight", matrix}, {"layer.bias", bias}},
                              {.muon_learning_rate = 0.02});
  (matrix.sum() + bias.sum()).backward();
  optimizer.Step(1);
  EXPECT_FALSE(matrix.grad().defined());
  EXPECT_FALSE(bias.grad().defined());
  EXPECT_LT(bias.detach().max().item<double>(), 1);
}

}  // namespace
}  // namespace likeness::mini

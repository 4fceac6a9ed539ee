#include "worker/training/optimizer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <limits>
#include <optional>
#include <utility>

#include "worker/base/error.h"
#include "worker/training/optimizer_table.h"
#include "worker/training/prodigy.h"

namespace likeness {
namespace {

using ::testing::HasSubstr;

// A matrix that is large enough for 8-bit moments, a vector, a convolution.
std::vector<torch::Tensor> Weights() {
  torch::manual_seed(1);
  return {torch::randn({65, 70}).requires_grad_(), torch::randn({130}).requires_grad_(),
          torch::randn({3, 5, 3, 3}).requires_grad_()};
}
const std::vector<std::string> kNames = {"matrix", "vector", "convolution"};

void SetGradients(std::vector<torch::Tensor>& parameters, int step) {
  torch::manual_seed(100 + step);
  for (torch::Tensor& parameter : parameters) {
    parameter.mutable_grad() =
        (torch::randn(parameter.sizes()) + parameter.detach()).to(parameter.scalar_type());
  }
}

TEST(NormsOf, KeepOrderAndAreThoseOfFloat32) {
  torch::manual_seed(3);
  const auto parts = torch::randn({2 * kNumbersInCache + 3}).to(torch::kBFloat16);
  const auto turned = torch::randn({30, 50}).to(torch::kFloat16).t();
  const auto with_gaps = torch::randn({20, 60}).to(torch::kBFloat16).slice(1, 0, 60, 2);
  const std::vector<torch::Tensor> gradients = {torch::randn({7, 9}), parts, turned, with_gaps,
                                                torch::randn({5})};
  const auto norms = NormsOf(gradients);
  ASSERT_EQ(norms.size(), gradients.size());
  for (size_t i = 0; i < norms.size(); ++i) {
    EXPECT_EQ(norms[i].scalar_type(), torch::kFloat32);
    const double exact = gradients[i].to(torch::kFloat64).norm().item<double>();
    EXPECT_NEAR(norms[i].item<double>(), exact, 1e-5 * exact) << i;  // LibTorch sums in float32
  }
}

class OptimizerTest : public testing::TestWithParam<std::string> {
 protected:
  static std::unique_ptr<Optimizer> Make(const std::vector<torch::Tensor>& weights) {
    return MakeOptimizer({{.parameters = weights, .learning_rate = 1e-2}}, {.name = GetParam()});
  }
};

TEST_P(OptimizerTest, ContinuesFromItsStateToTheSameBits) {
  auto straight = Weights(), resumed = Weights();
  const auto one = Make(straight), two = Make(resumed);
  for (int step = 0; step < 8; ++step) {
    SetGradients(straight, step);
    if (step == 0) straight[1].mutable_grad().reset();
    one->Step();
    if (step == 3) {
      torch::NoGradGuard no_grad;
      for (size_t i = 0; i < resumed.size(); ++i) resumed[i].copy_(straight[i]);
      const auto from = one->State(kNames);
      auto to = two->State(kNames);
      ASSERT_EQ(from.size(), to.size());
      for (size_t i = 0; i < to.size(); ++i) to[i].second.copy_(from[i].second);
    } else if (step > 3) {
      SetGradients(resumed, step);
      two->Step();
    }
  }
  for (size_t i = 0; i < straight.size(); ++i) EXPECT_TRUE(torch::equal(straight[i], resumed[i]));
}

TEST_P(OptimizerTest, AParameterWithoutGradientIsLeftAlone) {
  auto weights = Weights();
  const auto before = weights[1].detach().clone();
  const auto optimizer = Make(weights);
  for (int step = 0; step < 3; ++step) {
    SetGradients(weights, step);
    weights[1].mutable_grad().reset();
    optimizer->Step();
  }
  EXPECT_TRUE(torch::equal(weights[1], before));
  EXPECT_FALSE(torch::equal(weights[0], Weights()[0]));
}

// All gradients point to zero.
TEST_P(OptimizerTest, GoesWhereTheGradientsPoint) {
  auto weights = Weights();
  const double before = weights[0].norm().item<double>();
  const auto optimizer =
      MakeOptimizer({{.parameters = weights, .learning_rate = GetParam() == "prodigy" ? 1 : 1e-2}},
                    {.name = GetParam(), .weight_decay = 0});
  for (int step = 0; step < 120; ++step) {
    for (auto& weight : weights) weight.mutable_grad() = weight.detach().clone();
    optimizer->Step();
  }
  EXPECT_LT(weights[0].norm().item<double>(), 0.9 * before);
}

// What one large gradient leaves in the state: moves of the weights over four steps.
torch::Tensor MovedBy(const std::string& name, double max_grad_norm, bool clipped_beforehand) {
  auto weights = Weights();
  const auto optimizer = MakeOptimizer({{.parameters = weights, .learning_rate = 1e-2}},
                                       {.name = name, .max_grad_norm = max_grad_norm});
  for (int step = 0; step < 4; ++step) {
    torch::manual_seed(100 + step);
    for (auto& weight : weights) {
      weight.mutable_grad() = torch::randn(weight.sizes()) * (step == 0 ? 1000 : 0.005);
    }
    const double scale = clipped_beforehand ? std::max(1.0, optimizer->GradNorm() + 1e-6) : 1;
    for (auto& weight : weights) weight.mutable_grad().div_(scale);
    optimizer->Step();
  }
  return (weights[0] - Weights()[0]).detach();
}

TEST_P(OptimizerTest, GradientsAboveTheNormAreClipped) {
  const auto moved = MovedBy(GetParam(), 1, false);
  const auto by_hand = MovedBy(GetParam(), 0, true), not_at_all = MovedBy(GetParam(), 0, false);
  const double size = moved.norm().item<double>();
  EXPECT_LT((moved - by_hand).norm().item<double>(), 0.01 * size);
  EXPECT_GT((moved - not_at_all).norm().item<double>(), 0.1 * size);
}

TEST_P(OptimizerTest, AStepAtRateZeroChangesNoWeight) {
  auto weights = Weights();
  const auto optimizer = Make(weights);
  SetGradients(weights, 0);
  optimizer->Step(/*schedule_factor=*/0);  // as the first of a warm-up
  for (size_t i = 0; i < weights.size(); ++i) {
    EXPECT_TRUE(torch::equal(weights[i], Weights()[i]));
  }
}

// Scaled by a power of two, gradients lose no bit.
TEST_P(OptimizerTest, ScaledGradientsMakeTheSameStep) {
  for (const double size : {1e-3, 10.0}) {  // below and above the clipping norm
    auto plain = Weights(), scaled = Weights();
    const auto one = Make(plain), two = Make(scaled);
    for (int step = 0; step < 5; ++step) {
      const double scale = step < 3 ? 65536 : 32768;
      for (auto* weights : {&plain, &scaled}) {
        SetGradients(*weights, step);
        for (auto& weight : *weights) {
          weight.mutable_grad().mul_(size * (weights == &scaled ? scale : 1));
        }
      }
      EXPECT_EQ(two->StepScaled(1, scale), one->Step());
    }
    for (size_t i = 0; i < plain.size(); ++i) {
      EXPECT_LT((scaled[i] - plain[i]).norm().item<double>(),
                1e-5 * (plain[i] - Weights()[i]).norm().item<double>());
    }
  }
}

TEST_P(OptimizerTest, AStepThatIsSkippedChangesNothing) {
  auto weights = Weights();
  const auto optimizer = Make(weights);
  SetGradients(weights, 0);
  optimizer->Step();
  std::vector<torch::Tensor> before;
  for (const auto& weight : weights) before.push_back(weight.detach().clone());
  for (const auto& [name, tensor] : optimizer->State(kNames)) before.push_back(tensor.clone());
  SetGradients(weights, 1);
  weights[1].mutable_grad()[7] = std::numeric_limits<float>::infinity();
  EXPECT_EQ(optimizer->StepScaled(1, 65536), std::nullopt);
  size_t i = 0;
  for (const auto& weight : weights) {
    EXPECT_FALSE(weight.grad().defined());
    EXPECT_TRUE(torch::equal(weight, before[i++]));
  }
  for (const auto& [name, tensor] : optimizer->State(kNames)) {
    EXPECT_TRUE(torch::equal(tensor, before[i++])) << name;
  }
}

std::vector<torch::Tensor> RoundedWeights() {
  std::vector<torch::Tensor> weights;
  for (const auto& weight : Weights()) {
    weights.push_back(weight.detach().to(torch::kBFloat16).requires_grad_());
  }
  return weights;
}

// Its steps are a sixteenth of what lies between neighbours: rounding to the nearest makes none.
TEST_P(OptimizerTest, SmallStepsOfBfloat16WeightsAddUpInTheMean) {
  const bool prodigy = GetParam() == "prodigy";  // whose rate grows from 1e-6
  auto weight = torch::ones({128, 128}, torch::kBFloat16).requires_grad_();
  auto exact = torch::ones({128, 128}).requires_grad_();
  const OptimizerOptions options{.name = GetParam(), .weight_decay = 0, .seed = 3};
  const double rate = prodigy ? 200 : 2.5e-4;
  const auto rounds = MakeOptimizer({{.parameters = {weight}, .learning_rate = rate}}, options);
  const auto masters = MakeOptimizer({{.parameters = {exact}, .learning_rate = rate}}, options);
  for (int step = 0; step < 10; ++step) {
    weight.mutable_grad() = torch::ones({128, 128}, torch::kBFloat16);
    exact.mutable_grad() = torch::ones({128, 128});
    rounds->Step();
    masters->Step();
  }
  EXPECT_EQ(weight.scalar_type(), torch::kBFloat16);
  const double moved = 1 - exact.mean().item<double>();
  ASSERT_GT(moved, 1e-4);
  EXPECT_NEAR(1 - weight.to(torch::kFloat64).mean().item<double>(), moved, 0.05 * moved);
}

TEST_P(OptimizerTest, Bfloat16WeightsContinueFromTheStateToTheSameBits) {
  const auto run = [&](bool interrupted) {
    auto weights = RoundedWeights();
    auto optimizer = Make(weights);
    for (int step = 0; step < 6; ++step) {
      if (step == 3 && interrupted) {
        auto next = Make(weights);
        const auto from = optimizer->State(kNames);
        auto to = next->State(kNames);
        for (size_t i = 0; i < to.size(); ++i) to[i].second.copy_(from[i].second);
        optimizer = std::move(next);
      }
      SetGradients(weights, step);
      optimizer->Step();
    }
    return weights;
  };
  const auto straight = run(false), resumed = run(true);
  for (size_t i = 0; i < straight.size(); ++i) EXPECT_TRUE(torch::equal(straight[i], resumed[i]));
}

INSTANTIATE_TEST_SUITE_P(All, OptimizerTest,
                         testing::Values("adamw", "adamw_8bit", "adafactor", "prodigy"),
                         [](const auto& info) { return info.param; });

TEST(OptimizerTableTest, AnUnknownNameIsRefusedWithTheKnownOnes) {
  try {
    FindOptimizer("sgd");
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kInvalidArgument);
    EXPECT_THAT(error.what(), HasSubstr("adamw, adamw_8bit, adafactor, prodigy"));
  }
}

TEST(ProdigyTest, FindsALargerRateAndSaysIt) {
  auto weights = Weights();
  Prodigy optimizer({{.parameters = weights, .learning_rate = 1}}, {});
  EXPECT_EQ(optimizer.RateScale(), 1e-6);
  for (int step = 0; step < 60; ++step) {
    for (auto& weight : weights) weight.mutable_grad() = weight.detach().clone();
    optimizer.Step();
  }
  EXPECT_GT(optimizer.RateScale(), 1e-4);
}

TEST(ProdigyTest, UnequalRatesAreRefused) {
  auto weights = Weights();
  try {
    Prodigy({{.parameters = {weights[0]}, .learning_rate = 1},
             {.parameters = {weights[1]}, .learning_rate = 5e-06}},
            {});
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kInvalidArgument);
    EXPECT_THAT(error.what(), HasSubstr("one learning rate"));
    EXPECT_THAT(error.what(), HasSubstr("1 and 5e-06;"));
  }
}

}  // namespace
}  // namespace likeness

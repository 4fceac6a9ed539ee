#include "worker/training/step_in_backward.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <limits>

#include "worker/base/error.h"
#include "worker/training/optimizer_table.h"

namespace likeness {
namespace {

using ::testing::HasSubstr;

const std::vector<std::string> kParameterNames = {"first", "second", "scale", "unused"};

// Two layers, of which the second is used twice, a scale, and a weight that gets no gradient.
struct Net {
  explicit Net(torch::ScalarType compute, bool rounds = false) {
    torch::manual_seed(1);
    for (const auto& sizes : {std::vector<int64_t>{70, 65}, {65, 65}, {65}, {3, 3}}) {
      masters.push_back(torch::randn(sizes) / 8);
      parameters.push_back(masters.back().detach().to(compute).requires_grad_());
      if (rounds) masters.back() = parameters.back().detach();
    }
  }

  std::vector<ParameterGroup> Groups() const {
    return {
        {{parameters[0]}, 1e-2, {masters[0]}},
        {{parameters.begin() + 1, parameters.end()}, 3e-3, {masters.begin() + 1, masters.end()}}};
  }

  torch::Tensor Loss(int step) const {
    torch::manual_seed(100 + step);
    auto x = torch::randn({4, 70}).to(parameters[0].scalar_type()).matmul(parameters[0]).tanh();
    x = x.matmul(parameters[1]).tanh().matmul(parameters[1]) * parameters[2];
    return x.to(torch::kFloat32).square().sum();
  }

  std::vector<torch::Tensor> masters, parameters;
};

struct Case {
  std::string optimizer;
  torch::ScalarType compute;
  bool rounds = false;  // weights are bfloat16, without masters
};

class StepInBackwardTest : public testing::TestWithParam<Case> {};

TEST_P(StepInBackwardTest, ChangesWeightsStateAndNormsToTheSameBits) {
  const Net after(GetParam().compute, GetParam().rounds);
  const Net within(GetParam().compute, GetParam().rounds);
  const OptimizerOptions options{.name = GetParam().optimizer, .max_grad_norm = 0, .seed = 5};
  const auto one = MakeOptimizer(after.Groups(), options);
  const auto two = MakeOptimizer(within.Groups(), options);
  StepInBackward in_backward(*two);
  for (int step = 0; step < 5; ++step) {
    const double factor = step == 0 ? 0 : 1.0 / step;
    after.Loss(step).backward();
    in_backward.Begin(factor);
    within.Loss(step).backward();
    EXPECT_EQ(in_backward.End(), one->Step(factor));
    for (size_t i = 0; i < kParameterNames.size(); ++i) {
      EXPECT_FALSE(within.parameters[i].grad().defined()) << kParameterNames[i];
      EXPECT_TRUE(torch::equal(within.masters[i], after.masters[i])) << kParameterNames[i] << step;
      EXPECT_TRUE(torch::equal(within.parameters[i], after.parameters[i]))
          << kParameterNames[i] << step;
    }
  }
  const auto left = one->State(kParameterNames), right = two->State(kParameterNames);
  ASSERT_EQ(left.size(), right.size());
  for (size_t i = 0; i < left.size(); ++i) {
    EXPECT_TRUE(torch::equal(left[i].second, right[i].second)) << left[i].first;
  }
}

INSTANTIATE_TEST_SUITE_P(
    All, StepInBackwardTest,
    testing::Values(Case{"adamw", torch::kFloat32}, Case{"adamw", torch::kBFloat16},
                    Case{"adamw_8bit", torch::kFloat32}, Case{"adamw_8bit", torch::kBFloat16},
                    Case{"adafactor", torch::kFloat32}, Case{"adafactor", torch::kBFloat16},
                    Case{"adamw", torch::kBFloat16, true},
                    Case{"adamw_8bit", torch::kBFloat16, true},
                    Case{"adafactor", torch::kBFloat16, true}),
    [](const auto& info) {
      return info.param.optimizer + (info.param.compute == torch::kFloat32 ? "_fp32"
                                     : info.param.rounds                   ? "_bf16_weights"
                                                                           : "_bf16");
    });

TEST(StepInBackwardPassTest, AGradientIsGoneBeforeTheNextIsThere) {
  const Net net(torch::kFloat32);
  const auto optimizer = MakeOptimizer(net.Groups(), {.max_grad_norm = 0});
  size_t most = 0;
  for (const auto& parameter : net.parameters) {
    parameter.register_hook([&](const torch::Tensor&) {
      size_t there = 0;
      for (const auto& other : net.parameters) there += other.grad().defined();
      most = std::max(most, there);
    });
  }
  net.Loss(0).backward();
  EXPECT_EQ(most, 2u) << "of three, those before the last";
  optimizer->Step();
  most = 0;
  StepInBackward in_backward(*optimizer);
  in_backward.Begin(1);
  net.Loss(1).backward();
  in_backward.End();
  EXPECT_EQ(most, 0u);
}

TEST(StepInBackwardPassTest, AfterItGradientsAreKeptAgain) {
  const Net net(torch::kFloat32);
  const auto optimizer = MakeOptimizer(net.Groups(), {.max_grad_norm = 0});
  { const StepInBackward in_backward(*optimizer); }
  net.Loss(0).backward();
  EXPECT_TRUE(net.parameters[0].grad().defined());
}

ErrorKind KindOf(const std::function<void()>& run, std::string* message = nullptr) {
  try {
    run();
  } catch (const Error& error) {
    if (message != nullptr) *message = error.what();
    return error.kind();
  }
  return ErrorKind::kCancelled;
}

TEST(StepInBackwardPassTest, WhatNeedsAllGradientsIsRefused) {
  const Net net(torch::kFloat32);
  const auto clips = MakeOptimizer(net.Groups(), {.max_grad_norm = 1});
  std::string message;
  EXPECT_EQ(KindOf([&] { StepInBackward in_backward(*clips); }, &message),
            ErrorKind::kInvalidArgument);
  EXPECT_THAT(message, HasSubstr("max_grad_norm"));
  const auto prodigy = MakeOptimizer({{.parameters = net.parameters, .learning_rate = 1}},
                                     {.name = "prodigy", .max_grad_norm = 0});
  EXPECT_EQ(KindOf([&] { StepInBackward in_backward(*prodigy); }), ErrorKind::kInvalidArgument);
}

TEST(StepInBackwardPassTest, ASecondGradientInAPassIsAnError) {
  const Net net(torch::kFloat32);
  const auto optimizer = MakeOptimizer(net.Groups(), {.max_grad_norm = 0});
  StepInBackward in_backward(*optimizer);
  in_backward.Begin(1);
  net.Loss(0).backward();
  EXPECT_EQ(KindOf([&] { net.Loss(1).backward(); }), ErrorKind::kInternal);
}

TEST(StepInBackwardPassTest, ANormThatIsNotFiniteEndsTheTraining) {
  const Net net(torch::kFloat32);
  const auto optimizer = MakeOptimizer(net.Groups(), {.max_grad_norm = 0});
  StepInBackward in_backward(*optimizer);
  in_backward.Begin(1);
  (net.Loss(0) * std::numeric_limits<double>::infinity()).backward();
  std::string message;
  EXPECT_EQ(KindOf([&] { in_backward.End(); }, &message), ErrorKind::kFailedPrecondition);
  EXPECT_THAT(message, HasSubstr("at step 0: training diverged"));
}

}  // namespace
}  // namespace likeness

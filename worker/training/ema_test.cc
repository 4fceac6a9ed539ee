#include "worker/training/ema.h"

#include <gtest/gtest.h>

namespace likeness {
namespace {

TEST(EmaTest, ForgetsTheStartQuicklyAndThenFollowsSlowly) {
  auto parameter = torch::zeros({2});
  Ema ema({parameter}, 0.99);
  parameter.fill_(1);
  ema.Update();  // decay 0
  EXPECT_FLOAT_EQ(ema.averages()[0][0].item<float>(), 1);
  parameter.fill_(12);
  ema.Update();  // decay 2 / 11
  EXPECT_FLOAT_EQ(ema.averages()[0][0].item<float>(), 10);
  parameter.fill_(1);
  for (int i = 0; i < 2000; ++i) ema.Update();
  parameter.fill_(2);
  ema.Update();  // decay 0.99
  EXPECT_NEAR(ema.averages()[0][0].item<float>(), 1.01f, 1e-5);
}

TEST(EmaTest, SwappingTwiceChangesNothing) {
  auto parameter = torch::zeros({2});
  Ema ema({parameter}, 0.99);
  parameter.fill_(1);
  ema.Swap();
  EXPECT_EQ(parameter[0].item<float>(), 0);
  ema.Swap();
  EXPECT_EQ(parameter[0].item<float>(), 1);
  EXPECT_EQ(ema.averages()[0][0].item<float>(), 0);
}

TEST(EmaTest, SwappingTwiceRoundsNoAverageOfBfloat16Weights) {
  auto parameter = torch::ones({2}, torch::kBFloat16);
  Ema ema({parameter}, 0.99);
  for (const double value : {1.0, 1.5, 2.0}) {
    parameter.fill_(value);
    ema.Update();
  }
  const auto average = ema.averages()[0].clone();
  ema.Swap();
  EXPECT_TRUE(torch::equal(parameter, average.to(torch::kBFloat16)));
  EXPECT_FALSE(torch::equal(parameter.to(torch::kFloat32), average));
  ema.Swap();
  EXPECT_EQ(parameter[0].item<float>(), 2);
  EXPECT_TRUE(torch::equal(ema.averages()[0], average));
}

}  // namespace
}  // namespace likeness

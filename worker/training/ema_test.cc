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

}  // namespace
}  // namespace likeness

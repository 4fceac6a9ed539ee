#include "worker/training/loss_scale.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "worker/base/error.h"

namespace likeness {
namespace {

TEST(LossScaleTest, BeginsGrowsAndBacksOffAsGradScalerDoes) {
  LossScale scale;
  EXPECT_EQ(scale.value(), 65536);
  for (int step = 0; step < 1999; ++step) scale.Update(true, step);
  EXPECT_EQ(scale.value(), 65536);
  scale.Update(true, 1999);
  EXPECT_EQ(scale.value(), 131072);
  scale.Update(false, 2000);
  EXPECT_EQ(scale.value(), 65536);
}

TEST(LossScaleTest, ASkippedStepBeginsTheCountAnew) {
  LossScale scale;
  for (int step = 0; step < 1999; ++step) scale.Update(true, step);
  scale.Update(false, 1999);
  for (int step = 0; step < 1999; ++step) scale.Update(true, step);
  EXPECT_EQ(scale.value(), 32768);
  scale.Update(true, 1999);
  EXPECT_EQ(scale.value(), 65536);
  EXPECT_EQ(scale.skipped_steps(), 1);
}

TEST(LossScaleTest, GoesOnFromItsState) {
  LossScale one, two;
  for (int step = 0; step < 1500; ++step) one.Update(true, step);
  one.Update(false, 1500);
  for (int step = 0; step < 1500; ++step) one.Update(true, step);
  two.state().copy_(one.state());
  for (int step = 0; step < 500; ++step) two.Update(true, step);
  EXPECT_EQ(two.value(), 65536);
  EXPECT_EQ(two.skipped_steps(), 1);
}

TEST(LossScaleTest, GradientsThatAreNeverFiniteEndTheTraining) {
  LossScale scale;
  int skipped = 0;
  try {
    while (skipped < 100) scale.Update(false, skipped++);
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kFailedPrecondition);
    EXPECT_THAT(error.what(), testing::HasSubstr("at step 29"));
  }
}

}  // namespace
}  // namespace likeness

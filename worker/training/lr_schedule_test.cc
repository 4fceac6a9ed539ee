#include "worker/training/lr_schedule.h"

#include <gtest/gtest.h>

#include "worker/base/error.h"

namespace likeness {
namespace {

// Golden numbers: diffusers 0.42.1, get_scheduler(name, num_warmup_steps=4, num_training_steps=20).
TEST(LrScheduleTest, FactorsAreThoseOfDiffusers) {
  const LrScheduleOptions constant{LrDecay::kConstant, 4, 20};
  const LrScheduleOptions cosine{LrDecay::kCosine, 4, 20};
  const LrScheduleOptions linear{LrDecay::kLinear, 4, 20};
  for (const auto& options : {constant, cosine, linear}) {
    EXPECT_DOUBLE_EQ(LrFactor(options, 0), 0);
    EXPECT_DOUBLE_EQ(LrFactor(options, 1), 0.25);
    EXPECT_DOUBLE_EQ(LrFactor(options, 4), 1);
  }
  EXPECT_DOUBLE_EQ(LrFactor(constant, 19), 1);
  EXPECT_DOUBLE_EQ(LrFactor(cosine, 5), 0.9903926402016152);
  EXPECT_DOUBLE_EQ(LrFactor(cosine, 12), 0.5);
  EXPECT_DOUBLE_EQ(LrFactor(cosine, 19), 0.009607359798384785);
  EXPECT_DOUBLE_EQ(LrFactor(linear, 5), 0.9375);
  EXPECT_DOUBLE_EQ(LrFactor(linear, 19), 0.0625);
}

TEST(LrScheduleTest, WithoutWarmupTheFirstStepLearns) {
  EXPECT_DOUBLE_EQ(LrFactor({LrDecay::kConstant, 0, 10}, 0), 1);
  EXPECT_DOUBLE_EQ(LrFactor({LrDecay::kCosine, 0, 10}, 0), 1);
}

TEST(LrScheduleTest, UnknownNamesAreRefusedWithTheKnownOnes) {
  EXPECT_EQ(ParseLrDecay("cosine"), LrDecay::kCosine);
  try {
    ParseLrDecay("polynomial");
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kInvalidArgument);
    EXPECT_NE(std::string(error.what()).find("constant, cosine and linear"), std::string::npos);
  }
}

}  // namespace
}  // namespace likeness

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

// get_scheduler("polynomial" and "cosine_with_restarts", ..., num_cycles=3), learning rate 5e-6.
TEST(LrScheduleTest, PolynomialAndRestartsAreThoseOfDiffusers) {
  const LrScheduleOptions polynomial{LrDecay::kPolynomial, 4, 20, 5e-6};
  const LrScheduleOptions restarts{LrDecay::kCosineWithRestarts, 4, 20, 5e-6, 3};
  for (const auto& options : {polynomial, restarts}) {
    EXPECT_DOUBLE_EQ(LrFactor(options, 1), 0.25);
    EXPECT_DOUBLE_EQ(LrFactor(options, 4), 1);
  }
  EXPECT_DOUBLE_EQ(LrFactor(polynomial, 5), 0.9387500000000001);
  EXPECT_DOUBLE_EQ(LrFactor(polynomial, 19), 0.08125);
  EXPECT_DOUBLE_EQ(LrFactor(polynomial, 20), 0.019999999999999997);
  EXPECT_DOUBLE_EQ(LrFactor(restarts, 9), 0.009607359798384785);
  EXPECT_DOUBLE_EQ(LrFactor(restarts, 10), 0.9619397662556434);
  EXPECT_DOUBLE_EQ(LrFactor(restarts, 19), 0.08426519384872733);
  EXPECT_DOUBLE_EQ(LrFactor(restarts, 20), 0);
}

TEST(LrScheduleTest, WithoutWarmupTheFirstStepLearns) {
  EXPECT_DOUBLE_EQ(LrFactor({LrDecay::kConstant, 0, 10}, 0), 1);
  EXPECT_DOUBLE_EQ(LrFactor({LrDecay::kCosine, 0, 10}, 0), 1);
}

TEST(LrScheduleTest, UnknownNamesAreRefusedWithTheKnownOnes) {
  EXPECT_EQ(ParseLrDecay("cosine"), LrDecay::kCosine);
  EXPECT_EQ(ParseLrDecay("cosine_with_restarts"), LrDecay::kCosineWithRestarts);
  try {
    ParseLrDecay("exponential");
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kInvalidArgument);
    EXPECT_NE(std::string(error.what())
                  .find("constant, cosine, linear, polynomial, cosine_with_restarts are"),
              std::string::npos);
  }
}

}  // namespace
}  // namespace likeness

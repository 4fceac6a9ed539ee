#include "worker/diffusion/sigma_schedule.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

namespace likeness {
namespace {

using ::testing::DoubleNear;
using ::testing::ElementsAre;

// Golden numbers: scipy 1.17.1, scipy.stats.beta.ppf(p, 0.6, 0.6).
TEST(SigmaScheduleTest, BetaQuantilesAgreeWithScipy) {
  EXPECT_EQ(BetaQuantile(0), 0);
  EXPECT_EQ(BetaQuantile(1), 1);
  EXPECT_NEAR(BetaQuantile(0.0001), 3.99837715814e-07, 1e-8);
  EXPECT_NEAR(BetaQuantile(0.01), 0.000861238821543, 1e-8);
  EXPECT_NEAR(BetaQuantile(0.1), 0.0395844055888, 1e-8);
  EXPECT_NEAR(BetaQuantile(0.3), 0.234017003875, 1e-8);
  EXPECT_NEAR(BetaQuantile(0.5), 0.5, 1e-8);
  EXPECT_NEAR(BetaQuantile(0.8), 0.877078249542, 1e-8);
  EXPECT_NEAR(BetaQuantile(0.999), 0.999981441261, 1e-8);
}

TEST(SigmaScheduleTest, EverySpreadRunsFromTheNoisiestToTheCleanest) {
  using enum SigmaSchedule;
  for (const auto schedule : {kKarras, kExponential, kBeta}) {
    const auto sigmas = SpreadSigmas(schedule, 14.6, 0.03, 25);
    ASSERT_EQ(sigmas.size(), 25u);
    EXPECT_NEAR(sigmas.front(), 14.6, 1e-9);
    EXPECT_NEAR(sigmas.back(), 0.03, 1e-9);
    EXPECT_TRUE(std::is_sorted(sigmas.rbegin(), sigmas.rend()));
    EXPECT_THAT(SpreadSigmas(schedule, 14.6, 0.03, 1), ElementsAre(DoubleNear(14.6, 1e-9)));
  }
}

}  // namespace
}  // namespace likeness

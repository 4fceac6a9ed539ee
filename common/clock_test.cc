#include "common/clock.h"

#include "gtest/gtest.h"

namespace likeness {
namespace {

TEST(SystemClockTest, SteadyTimeNeverGoesBack) {
  const SystemClock clock;
  absl::Time last = clock.Steady();
  for (int i = 0; i < 1000; ++i) {
    const absl::Time now = clock.Steady();
    ASSERT_GE(now, last);
    last = now;
  }
}

TEST(FakeClockTest, DateCanBeSetAndSteadyTimeGoesOn) {
  FakeClock clock;
  const absl::Time start = clock.Steady();
  clock.Set(clock.Now() - absl::Hours(1));
  EXPECT_EQ(clock.Steady(), start);
  clock.Advance(absl::Minutes(1));
  EXPECT_EQ(clock.Steady(), start + absl::Minutes(1));
}

}  // namespace
}  // namespace likeness

#include "common/clock.h"

#include "gtest/gtest.h"

namespace likeness {
namespace {

class TestClock : public SystemClock {
 public:
  absl::Time Wall() const override { return wall; }
  absl::Duration Elapsed() const override { return elapsed; }
  void Pass(absl::Duration time) {
    wall += time;
    elapsed += time;
  }

  absl::Time wall = absl::FromUnixSeconds(1'800'000'000);
  absl::Duration elapsed = absl::Hours(7);
};

TEST(SystemClockTest, FollowsTheSystemsTime) {
  TestClock clock;
  EXPECT_EQ(clock.Now(), clock.wall);
  clock.Pass(absl::Seconds(1));
  EXPECT_EQ(clock.Now(), clock.wall);
  clock.wall += absl::Hours(1);  // set forward
  EXPECT_EQ(clock.Now(), clock.wall);
}

TEST(SystemClockTest, GoesOnWhereTheSystemsTimeIsSetBack) {
  TestClock clock;
  const absl::Time before = clock.Now();
  clock.wall -= absl::Hours(1);
  EXPECT_EQ(clock.Now(), before);
  clock.Pass(absl::Minutes(1));
  EXPECT_EQ(clock.Now(), before + absl::Minutes(1));
  clock.wall += absl::Hours(2);
  EXPECT_EQ(clock.Now(), clock.wall);
}

TEST(SystemClockTest, GoesOnFromWhatWasWrittenBeforeARestart) {
  TestClock clock;
  const absl::Time written = clock.wall + absl::Hours(1);
  clock.GoOnFrom(written);
  clock.Pass(absl::Minutes(1));
  EXPECT_EQ(clock.Now(), written + absl::Minutes(1));
  TestClock other;
  other.GoOnFrom(other.wall - absl::Hours(1));
  EXPECT_EQ(other.Now(), other.wall);
}

}  // namespace
}  // namespace likeness

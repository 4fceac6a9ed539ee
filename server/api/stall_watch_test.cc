#include "server/api/stall_watch.h"

#include <gtest/gtest.h>

namespace likeness::server {
namespace {

constexpr absl::Duration kTimeout = absl::Minutes(10);

v1::HeartbeatRequest Beat(int64_t done, int64_t eta_seconds = 0) {
  v1::HeartbeatRequest beat;
  beat.set_lease_token("lease-1");
  beat.mutable_progress()->set_phase(v1::JOB_PHASE_TRAINING);
  beat.mutable_progress()->set_done(done);
  beat.mutable_progress()->mutable_remaining_duration()->set_seconds(eta_seconds);
  return beat;
}

class StallWatchTest : public testing::Test {
 protected:
  bool StalledAfter(absl::Duration pause, const v1::HeartbeatRequest& beat,
                    absl::Duration own_timeout = absl::ZeroDuration()) {
    return watch_.Stalled(beat, own_timeout, now_ += pause);
  }
  StallWatch watch_{kTimeout};
  absl::Time now_ = absl::UnixEpoch();
};

TEST_F(StallWatchTest, HeartbeatsWithoutNewsKeepNoAttemptAlive) {
  EXPECT_FALSE(StalledAfter(absl::ZeroDuration(), Beat(1)));
  v1::HeartbeatRequest silent;
  silent.set_lease_token("lease-1");
  for (int minute = 1; minute < 10; ++minute) {
    EXPECT_FALSE(StalledAfter(absl::Minutes(1), minute % 2 == 0 ? silent : Beat(1))) << minute;
  }
  EXPECT_TRUE(StalledAfter(absl::Minutes(1), Beat(1)));
}

TEST_F(StallWatchTest, AnyChangeOfTheProgressIsNews) {
  EXPECT_FALSE(StalledAfter(absl::ZeroDuration(), Beat(1)));
  EXPECT_FALSE(StalledAfter(absl::Minutes(9), Beat(1, 5)));
  EXPECT_FALSE(StalledAfter(absl::Minutes(9), Beat(2, 5)));
  v1::HeartbeatRequest checkpoint = Beat(2, 5);
  checkpoint.mutable_checkpoint()->set_step(2);
  EXPECT_FALSE(StalledAfter(absl::Minutes(9), checkpoint));
  EXPECT_FALSE(StalledAfter(absl::Minutes(9), Beat(2, 5)));
  EXPECT_TRUE(StalledAfter(absl::Minutes(1), Beat(2, 5)));
}

TEST_F(StallWatchTest, TimeoutOfTheJobTakesThePlaceOfTheServers) {
  EXPECT_FALSE(StalledAfter(absl::ZeroDuration(), Beat(1), absl::Minutes(1)));
  EXPECT_TRUE(StalledAfter(absl::Minutes(1), Beat(1), absl::Minutes(1)));
  EXPECT_FALSE(StalledAfter(absl::Minutes(20), Beat(1), absl::Hours(1)));
}

TEST_F(StallWatchTest, EveryLeaseHasItsOwnTime) {
  EXPECT_FALSE(StalledAfter(absl::ZeroDuration(), Beat(1)));
  v1::HeartbeatRequest other = Beat(1);
  other.set_lease_token("lease-2");
  EXPECT_FALSE(StalledAfter(absl::Minutes(9), other));
  EXPECT_TRUE(StalledAfter(absl::Minutes(1), Beat(1)));
  EXPECT_FALSE(StalledAfter(absl::ZeroDuration(), other));
  watch_.Forget("lease-1");
  EXPECT_FALSE(StalledAfter(absl::ZeroDuration(), Beat(1)));
}

}  // namespace
}  // namespace likeness::server

#include "server/jobs/policies/attempts.h"

#include <random>

#include "gtest/gtest.h"
#include "server/jobs/proto_time.h"

namespace likeness::server {
namespace {

TEST(RetryPolicyTest, DelayDoublesUpToItsLimit) {
  const RetryPolicy policy{absl::Seconds(1), absl::Seconds(5)};
  EXPECT_EQ(DelayAfterFailure(1, 10, policy), absl::Seconds(1));
  EXPECT_EQ(DelayAfterFailure(3, 10, policy), absl::Seconds(4));
  EXPECT_EQ(DelayAfterFailure(9, 10, policy), absl::Seconds(5));
  EXPECT_EQ(DelayAfterFailure(10, 10, policy), std::nullopt);
}

TEST(RetryPolicyTest, DelayNeverShrinksAndEndsWithTheAttempts) {
  std::mt19937 random(1);
  for (int round = 0; round < 500; ++round) {
    RetryPolicy policy;
    policy.first_delay = absl::Milliseconds(1 + random() % 100'000);
    policy.max_delay = policy.first_delay + absl::Milliseconds(random() % 1'000'000);
    const int attempts = 1 + static_cast<int>(random() % 10);
    absl::Duration before = policy.first_delay;
    for (int failures = 1; failures < attempts; ++failures) {
      const auto delay = DelayAfterFailure(failures, attempts, policy);
      ASSERT_TRUE(delay);
      EXPECT_GE(*delay, before);
      EXPECT_LE(*delay, policy.max_delay);
      before = *delay;
    }
    EXPECT_EQ(DelayAfterFailure(attempts, attempts, policy), std::nullopt);
  }
}

TEST(DeadlineTest, WithoutALimitThereIsNone) {
  const absl::Time now = absl::FromUnixSeconds(1000);
  EXPECT_EQ(QueueDeadline({}, now), absl::InfiniteFuture());
  EXPECT_EQ(ExecutionDeadline({}, now, absl::Hours(1)), absl::InfiniteFuture());
}

TEST(DeadlineTest, AttemptsShareTheExecutionTimeout) {
  const absl::Time now = absl::FromUnixSeconds(1000);
  v1::Job job;
  *job.mutable_execution_timeout() = ToProto(absl::Seconds(100));
  EXPECT_EQ(ExecutionDeadline(job, now, absl::ZeroDuration()), now + absl::Seconds(100));
  EXPECT_EQ(ExecutionDeadline(job, now, absl::Seconds(60)), now + absl::Seconds(40));
}

}  // namespace
}  // namespace likeness::server

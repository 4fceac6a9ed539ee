#include "server/jobs/transitions.h"

#include "gtest/gtest.h"
#include "server/jobs/job_state.h"

namespace likeness::server {
namespace {

TEST(JobStateTest, NothingFollowsTheEndButAnotherTry) {
  for (int from = v1::JobState_MIN; from <= v1::JobState_MAX; ++from) {
    if (!IsTerminal(static_cast<v1::JobState>(from))) continue;
    for (int to = v1::JobState_MIN; to <= v1::JobState_MAX; ++to) {
      const bool retry = from != v1::JOB_STATE_SUCCEEDED && to == v1::JOB_STATE_PENDING;
      EXPECT_EQ(CanBecome(static_cast<v1::JobState>(from), static_cast<v1::JobState>(to)), retry)
          << from << " to " << to;
    }
  }
}

TEST(JobStateTest, CancellingNeverSucceeds) {
  EXPECT_FALSE(CanBecome(v1::JOB_STATE_CANCELLING, v1::JOB_STATE_SUCCEEDED));
  EXPECT_FALSE(CanBecome(v1::JOB_STATE_CANCELLING, v1::JOB_STATE_PENDING));
  EXPECT_TRUE(CanBecome(v1::JOB_STATE_CANCELLING, v1::JOB_STATE_CANCELLED));
}

}  // namespace
}  // namespace likeness::server

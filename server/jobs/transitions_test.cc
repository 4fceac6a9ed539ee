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

TEST(RetryPolicyTest, DelayDoublesUpToItsLimit) {
  const RetryPolicy policy{absl::Seconds(1), absl::Seconds(5)};
  EXPECT_EQ(DelayAfterFailure(1, 10, policy), absl::Seconds(1));
  EXPECT_EQ(DelayAfterFailure(3, 10, policy), absl::Seconds(4));
  EXPECT_EQ(DelayAfterFailure(9, 10, policy), absl::Seconds(5));
  EXPECT_EQ(DelayAfterFailure(10, 10, policy), std::nullopt);
}

Candidate JobOf(int64_t key, const std::string& model, absl::Time created) {
  Candidate candidate;
  candidate.key = key;
  candidate.method = "generate";
  candidate.model = candidate.base_model = model;
  candidate.create_time = created;
  return candidate;
}

v1::AcquireLeaseRequest OfferOf(std::vector<std::string> models,
                                std::vector<std::string> resident) {
  v1::AcquireLeaseRequest offer;
  offer.add_methods("generate");
  for (const auto& model : models) offer.add_base_models()->set_name(model);
  for (const auto& model : resident) offer.add_resident_models(model);
  return offer;
}

TEST(ChooseJobTest, ResidentModelIsPreferredButNotForLong) {
  const absl::Time start = absl::FromUnixSeconds(1000);
  const std::vector<Candidate> jobs = {JobOf(1, "models/a", start), JobOf(2, "models/b", start)};
  const auto offer = OfferOf({"models/a", "models/b"}, {"models/b"});
  EXPECT_EQ(ChooseJob(jobs, offer, start + absl::Seconds(1)), 1u);
  EXPECT_EQ(ChooseJob(jobs, offer, start + absl::Seconds(10)), 0u) << "it has waited long enough";
}

TEST(ChooseJobTest, UnknownSamplerIsNotForThisWorker) {
  const absl::Time now = absl::FromUnixSeconds(1000);
  Candidate job = JobOf(1, "models/a", now);
  job.samplers = {"ddim"};
  EXPECT_EQ(ChooseJob({job}, OfferOf({"models/a"}, {}), now), std::nullopt);
}

}  // namespace
}  // namespace likeness::server

// What the holder of a lease may do, and until when.
#include "server/jobs/contract/job_store_contract.h"

namespace likeness::server {
namespace {

using ::testing::IsEmpty;

TEST_P(JobStoreTest, CompletedJobShowsItsOutputs) {
  Create("a");
  v1::CompleteLeaseRequest outcome;
  outcome.set_lease_token(AcquireAs("w").lease_token());
  outcome.add_outputs()->set_path("samples/0.png");
  (*outcome.mutable_metrics())["loss"] = 0.5;
  ASSERT_TRUE(store().Complete(outcome).ok());
  const v1::Job job = Get("a");
  EXPECT_EQ(job.state(), v1::JOB_STATE_SUCCEEDED);
  EXPECT_EQ(job.outputs(0).path(), "samples/0.png");
  EXPECT_EQ(job.metrics().at("loss"), 0.5);
  EXPECT_EQ(Events("a").back().state_change().job().outputs_size(), 1);
}

TEST_P(JobStoreTest, CompletingTwiceIsFine) {
  Create("a");
  const auto lease = AcquireAs("w");
  EXPECT_TRUE(Complete(lease.lease_token()).ok());
  EXPECT_TRUE(Complete(lease.lease_token()).ok());
}

TEST_P(JobStoreTest, StaleTokenCannotComplete) {
  Create("a");
  const auto first = AcquireAs("worker-a");
  clock_.Advance(kTestLease + absl::Seconds(1));
  ASSERT_EQ(*store().ExpireLeases(), 1);
  clock_.Advance(kTestRetry);
  const auto second = AcquireAs("worker-b");
  EXPECT_EQ(ErrorReason(Complete(first.lease_token())), "LEASE_LOST");
  EXPECT_TRUE(absl::IsAborted(Renew(first.lease_token()).status()));
  EXPECT_EQ(ErrorReason(Fail(first.lease_token(), true)), "LEASE_LOST");
  EXPECT_EQ(ErrorReason(Release(first.lease_token(), v1::RELEASE_REASON_PREEMPTED)), "LEASE_LOST");
  EXPECT_EQ(StateOf("a"), v1::JOB_STATE_RUNNING);
  EXPECT_TRUE(Complete(second.lease_token()).ok());
  EXPECT_EQ(ErrorReason(Complete(first.lease_token())), "LEASE_LOST");
}

TEST_P(JobStoreTest, ExpiredTokenIsStaleEvenBeforeAnybodyNoticed) {
  Create("a");
  const auto lease = AcquireAs("w");
  clock_.Advance(kTestLease);
  EXPECT_EQ(ErrorReason(Complete(lease.lease_token())), "LEASE_LOST");
  EXPECT_EQ(ErrorReason(Renew(lease.lease_token()).status()), "LEASE_LOST");
}

TEST_P(JobStoreTest, ForgedTokenIsLost) {
  Create("a");
  AcquireAs("w");
  for (const char* token : {"", "1", "1.0123456789abcdef", "999.x", "no number"}) {
    EXPECT_EQ(ErrorReason(Complete(token)), "LEASE_LOST") << token;
  }
}

TEST_P(JobStoreTest, HeartbeatKeepsTheLease) {
  Create("a");
  const auto lease = AcquireAs("w");
  for (int i = 0; i < 5; ++i) {
    clock_.Advance(kTestLease * 0.9);
    ASSERT_TRUE(Renew(lease.lease_token(), i).ok());
    EXPECT_EQ(*store().ExpireLeases(), 0);
  }
  EXPECT_TRUE(Complete(lease.lease_token()).ok());
}

TEST_P(JobStoreTest, LostLeaseIsQueuedAgainAfterTheBackOff) {
  Create("a");
  AcquireAs("w");
  clock_.Advance(kTestLease);
  ASSERT_EQ(*store().ExpireLeases(), 1);
  EXPECT_EQ(StateOf("a"), v1::JOB_STATE_PENDING);
  EXPECT_TRUE(NothingToLease());
  clock_.Advance(kTestRetry);
  EXPECT_EQ(AcquireAs("w").job().attempt(), 2);
}

TEST_P(JobStoreTest, JobFailsWhenItsAttemptsAreUsedUp) {
  Create("a");
  for (int attempt = 0; attempt < 2; ++attempt) {
    AcquireAs("w");
    clock_.Advance(kTestLease);
    ASSERT_EQ(*store().ExpireLeases(), 1);
    clock_.Advance(absl::Minutes(1));
  }
  const v1::Job job = Get("a");
  EXPECT_EQ(job.state(), v1::JOB_STATE_FAILED);
  EXPECT_EQ(ErrorReason(FromRpcStatus(job.error())), "WORKER_LOST");
}

TEST_P(JobStoreTest, FailureThatCannotBeMendedEndsTheJob) {
  Create("a");
  ASSERT_TRUE(Fail(AcquireAs("w").lease_token(), /*retryable=*/false).ok());
  EXPECT_EQ(StateOf("a"), v1::JOB_STATE_FAILED);
  EXPECT_EQ(Get("a").error().message(), "broken");
}

TEST_P(JobStoreTest, PreemptionChargesNoAttempt) {
  Create("a");
  for (int i = 0; i < 5; ++i) {
    ASSERT_TRUE(Release(AcquireAs("w").lease_token(), v1::RELEASE_REASON_PREEMPTED).ok());
    EXPECT_EQ(StateOf("a"), v1::JOB_STATE_PENDING);
  }
}

TEST_P(JobStoreTest, NextAttemptGetsTheCheckpoint) {
  Create("a");
  v1::HeartbeatRequest news;
  news.set_lease_token(AcquireAs("w").lease_token());
  news.mutable_checkpoint()->set_step(40);
  ASSERT_TRUE(store().Renew(news).ok());
  ASSERT_TRUE(Release(news.lease_token(), v1::RELEASE_REASON_PREEMPTED).ok());
  EXPECT_EQ(AcquireAs("w").checkpoint().step(), 40);
}

TEST_P(JobStoreTest, CancelledJobNeverSucceeds) {
  Create("a");
  const auto lease = AcquireAs("w");
  EXPECT_EQ(store().Cancel({"default", "a"}, "")->state(), v1::JOB_STATE_CANCELLING);
  EXPECT_TRUE(Renew(lease.lease_token())->cancel_requested);
  v1::CompleteLeaseRequest outcome;
  outcome.set_lease_token(lease.lease_token());
  outcome.add_outputs()->set_path("x");
  for (int i = 0; i < 2; ++i) {
    EXPECT_EQ(ErrorReason(store().Complete(outcome)), "JOB_CANCELLED");
    EXPECT_EQ(StateOf("a"), v1::JOB_STATE_CANCELLED);
  }
  EXPECT_THAT(Get("a").outputs(), IsEmpty());
}

TEST_P(JobStoreTest, WorkerConfirmsCancellation) {
  Create("a");
  const auto lease = AcquireAs("w");
  EXPECT_EQ(ErrorReason(Release(lease.lease_token(), v1::RELEASE_REASON_CANCELLED)),
            "JOB_NOT_CANCELLING");
  ASSERT_TRUE(store().Cancel({"default", "a"}, "").ok());
  EXPECT_TRUE(Release(lease.lease_token(), v1::RELEASE_REASON_CANCELLED).ok());
  EXPECT_EQ(StateOf("a"), v1::JOB_STATE_CANCELLED);
}

TEST_P(JobStoreTest, LostWorkerEndsACancellation) {
  Create("a");
  AcquireAs("w");
  ASSERT_TRUE(store().Cancel({"default", "a"}, "").ok());
  clock_.Advance(kTestLease);
  ASSERT_EQ(*store().ExpireLeases(), 1);
  EXPECT_EQ(StateOf("a"), v1::JOB_STATE_CANCELLED);
}

TEST_P(JobStoreTest, TokenOfTheTryBeforeIsStale) {
  Create("a");
  const auto before = AcquireAs("w");
  ASSERT_TRUE(store().Cancel({"default", "a"}, "").ok());
  ASSERT_TRUE(Release(before.lease_token(), v1::RELEASE_REASON_CANCELLED).ok());
  ASSERT_TRUE(Retry("a").ok());
  EXPECT_EQ(ErrorReason(Complete(before.lease_token())), "LEASE_LOST");
  AcquireAs("w");
  EXPECT_EQ(ErrorReason(Complete(before.lease_token())), "LEASE_LOST");
}

TEST_P(JobStoreTest, LeaseOutlivesALongOutage) {
  Create("a");
  const auto lease = AcquireAs("w");
  clock_.Advance(10 * kTestLease);
  Reopen();
  ASSERT_TRUE(store().ExtendLeases().ok());
  EXPECT_EQ(*store().ExpireLeases(), 0);
  EXPECT_TRUE(Complete(lease.lease_token()).ok());
}

}  // namespace
}  // namespace likeness::server

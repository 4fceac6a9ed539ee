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

TEST_P(JobStoreTest, LeaseOfWhichNothingWasHeardCountsAsNoAttempt) {
  Create("a");
  for (int lost = 0; lost < 3;
       ++lost) {  // as answers that no worker has got; two attempts are left
    AcquireAs("w");
    clock_.Advance(kTestLease);
    ASSERT_EQ(*store().ExpireLeases(), 1);
    ASSERT_EQ(StateOf("a"), v1::JOB_STATE_PENDING);
    EXPECT_TRUE(NothingToLease()) << "it waits for its back-off all the same";
    clock_.Advance(kTestRetry);
  }
  ASSERT_TRUE(Fail(AcquireAs("w").lease_token(), true).ok());
  EXPECT_EQ(StateOf("a"), v1::JOB_STATE_PENDING) << "the first that counts";
}

TEST_P(JobStoreTest, JobThatSilencesItsWorkersIsGivenUp) {
  Create("a");
  int leases = 0;
  for (; StateOf("a") == v1::JOB_STATE_PENDING && leases < 100; ++leases) {
    AcquireAs("w");
    clock_.Advance(kTestLease);
    ASSERT_EQ(*store().ExpireLeases(), 1);
    clock_.Advance(absl::Minutes(10));
  }
  EXPECT_EQ(leases, 13) << "attempts 12 and 13 count";
  EXPECT_EQ(ErrorReason(FromRpcStatus(Get("a").error())), "WORKER_LOST");
}

TEST_P(JobStoreTest, JobFailsWhenItsAttemptsAreUsedUp) {
  Create("a");
  for (int attempt = 0; attempt < 2; ++attempt) {
    ASSERT_TRUE(Renew(AcquireAs("w").lease_token()).ok());
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

TEST_P(JobStoreTest, LeasesAndWaitsTakeNoNoticeOfTheDate) {
  for (const std::string id : {"a", "b"}) Create(id);
  const auto lease = AcquireAs("w");
  const auto lost = AcquireAs("w");
  for (const absl::Duration set : {absl::Hours(1), -absl::Hours(2)}) {
    clock_.Set(clock_.Now() + set);
    EXPECT_EQ(*store().ExpireLeases(), 0);
    ASSERT_TRUE(store().FollowDate().ok());
    const auto terms = Renew(lease.lease_token());
    ASSERT_TRUE(terms.ok()) << terms.status();
    EXPECT_EQ(terms->expire_time, clock_.Now() + kTestLease) << "told by the date of now";
  }
  clock_.Advance(kTestLease);
  EXPECT_EQ(*store().ExpireLeases(), 2);
  clock_.Set(clock_.Now() - absl::Hours(1));  // while they wait for their back-off
  EXPECT_TRUE(NothingToLease());
  clock_.Advance(kTestRetry);
  EXPECT_EQ(AcquireAs("w").job().attempt(), 2);
  Create("c");
  EXPECT_EQ(FromProto(Get("c").create_time()), clock_.Now()) << "the date is nowhere ahead";
}

TEST_P(JobStoreTest, HistoryOfAJobDoesNotGoBackWithTheDate) {
  Create("a");
  const absl::Time created = clock_.Now();
  clock_.Set(created - absl::Hours(1));
  Reopen();
  const auto lease = AcquireAs("w");
  EXPECT_EQ(FromProto(Events("a").back().time()), created);
  EXPECT_EQ(FromProto(lease.job().start_time()), created);
  ASSERT_TRUE(Renew(lease.lease_token(), 1).ok());
  ASSERT_TRUE(Renew(lease.lease_token(), 2).ok());
  clock_.Set(created + absl::Hours(1));
  ASSERT_TRUE(Renew(lease.lease_token(), 3).ok());
  clock_.Set(created);
  ASSERT_TRUE(Complete(lease.lease_token()).ok());
  EXPECT_EQ(FromProto(Get("a").end_time()), created + absl::Hours(1));
  absl::Time last = absl::InfinitePast();
  for (const v1::JobEvent& event : Events("a")) {
    EXPECT_GE(FromProto(event.time()), last) << event.seq();
    last = FromProto(event.time());
  }
}

TEST_P(JobStoreTest, LeaseWhoseAnswerWasLostIsFoundUntilTheWorkerSpeaks) {
  for (const std::string id : {"a", "b", "c"}) Create(id);
  v1::AcquireLeaseRequest request = Offer("w");
  request.set_instance("run 1");
  request.set_request_id("1");
  const auto lease = *store().Acquire(request);
  ASSERT_TRUE(lease.has_value());
  for (int asked = 0; asked < 2; ++asked) {  // that answer may be lost, too
    const auto again = *store().Acquire(request);
    ASSERT_TRUE(again.has_value());
    EXPECT_EQ(again->SerializeAsString(), lease->SerializeAsString());
    Reopen();
  }
  EXPECT_EQ(lease->job().attempt(), 1);
  v1::AcquireLeaseRequest other = request;
  other.set_instance("run 2");
  const auto second = *store().Acquire(other);
  ASSERT_TRUE(second.has_value());
  EXPECT_NE(second->job().name(), lease->job().name()) << "another run may use the same ids";
  ASSERT_TRUE(Renew(lease->lease_token()).ok());
  const auto third = *store().Acquire(request);
  ASSERT_TRUE(third.has_value());
  EXPECT_NE(third->job().name(), lease->job().name()) << "its worker has the first one";
  clock_.Advance(kTestLease);
  EXPECT_FALSE(store().Acquire(request)->has_value()) << "it has run out";
}

TEST_P(JobStoreTest, GivingALeaseUpCanBeRepeatedThoughTheJobIsLeasedAgain) {
  Create("a");
  const auto first = AcquireAs("w");
  for (int i = 0; i < 2; ++i) {
    EXPECT_TRUE(Release(first.lease_token(), v1::RELEASE_REASON_PREEMPTED).ok());
    EXPECT_EQ(Events("a").size(), 3u);
  }
  const auto second = AcquireAs("v");
  EXPECT_TRUE(Release(first.lease_token(), v1::RELEASE_REASON_PREEMPTED).ok());
  EXPECT_EQ(store().FindLease(first.lease_token())->live, false);
  EXPECT_EQ(ErrorReason(Fail(first.lease_token(), true)), "LEASE_LOST") << "that is another call";
  EXPECT_EQ(ErrorReason(Renew(first.lease_token()).status()), "LEASE_LOST");
  EXPECT_EQ(StateOf("a"), v1::JOB_STATE_RUNNING);
  for (int i = 0; i < 2; ++i) EXPECT_TRUE(Fail(second.lease_token(), /*retryable=*/true).ok());
  EXPECT_EQ(ErrorReason(Release(first.lease_token(), v1::RELEASE_REASON_PREEMPTED)), "LEASE_LOST");
  clock_.Advance(kTestRetry);
  const auto third = AcquireAs("w");
  EXPECT_TRUE(Fail(second.lease_token(), true).ok());
  for (int i = 0; i < 2; ++i) EXPECT_TRUE(Fail(third.lease_token(), true).ok());
  EXPECT_EQ(StateOf("a"), v1::JOB_STATE_FAILED);
  EXPECT_EQ(Events("a").size(), 7u);
}

TEST_P(JobStoreTest, ChangesOfStateSayWhy) {
  Create("a");
  ASSERT_TRUE(Release(AcquireAs("w").lease_token(), v1::RELEASE_REASON_PREEMPTED).ok());
  AcquireAs("w");
  clock_.Advance(kTestLease);
  ASSERT_EQ(*store().ExpireLeases(), 1);
  clock_.Advance(kTestRetry);
  ASSERT_TRUE(Fail(AcquireAs("w").lease_token(), false).ok());
  ASSERT_TRUE(Retry("a").ok());
  ASSERT_TRUE(store().Cancel({"default", "a"}, "").ok());
  std::vector<v1::StateChangeReason> reasons;
  for (const auto& event : Events("a")) reasons.push_back(event.state_change().reason());
  EXPECT_THAT(reasons, ::testing::ElementsAre(
                           v1::STATE_CHANGE_REASON_CREATED, v1::STATE_CHANGE_REASON_LEASED,
                           v1::STATE_CHANGE_REASON_PREEMPTED, v1::STATE_CHANGE_REASON_LEASED,
                           v1::STATE_CHANGE_REASON_WORKER_LOST, v1::STATE_CHANGE_REASON_LEASED,
                           v1::STATE_CHANGE_REASON_ATTEMPT_FAILED, v1::STATE_CHANGE_REASON_RETRIED,
                           v1::STATE_CHANGE_REASON_CANCELLED));
}

TEST_P(JobStoreTest, EtagChangesWithAllButProgress) {
  Create("a");
  const auto lease = AcquireAs("w");
  const std::string running = Get("a").etag();
  ASSERT_TRUE(Renew(lease.lease_token(), 1).ok());
  EXPECT_EQ(Get("a").etag(), running);
  v1::HeartbeatRequest news;
  news.set_lease_token(lease.lease_token());
  news.add_warnings("odd");
  ASSERT_TRUE(store().Renew(news).ok());
  const std::string warned = Get("a").etag();
  EXPECT_NE(warned, running);
  ASSERT_TRUE(store().Renew(news).ok());
  EXPECT_EQ(Get("a").etag(), warned) << "the same warning again changes nothing";
  news.mutable_resolved()->set_base_model_digest("d");
  ASSERT_TRUE(store().Renew(news).ok());
  EXPECT_NE(Get("a").etag(), warned);
}

TEST_P(JobStoreTest, WarningOfAWorkerIsAnEventAtOnceAndOnce) {
  Create("a");
  v1::HeartbeatRequest news;
  news.set_lease_token(AcquireAs("w").lease_token());
  news.add_warnings("the photos are small");
  ASSERT_TRUE(store().Renew(news).ok());
  ASSERT_TRUE(store().Renew(news).ok());
  EXPECT_THAT(Get("a").warnings(), ::testing::ElementsAre("the photos are small"));
  std::vector<std::string> lines;
  for (const auto& event : Events("a")) {
    if (!event.has_log()) continue;
    EXPECT_EQ(event.log().severity(), v1::LOG_SEVERITY_WARNING);
    lines.push_back(event.log().text());
  }
  EXPECT_THAT(lines, ::testing::ElementsAre("the photos are small"));
}

TEST_P(JobStoreTest, LeaseThatRanOutWasNotGivenUp) {
  Create("a");
  const auto lease = AcquireAs("w");
  clock_.Advance(kTestLease);
  ASSERT_EQ(*store().ExpireLeases(), 1);
  EXPECT_EQ(ErrorReason(Fail(lease.lease_token(), true)), "LEASE_LOST");
  EXPECT_EQ(ErrorReason(Release(lease.lease_token(), v1::RELEASE_REASON_PREEMPTED)), "LEASE_LOST");
}

TEST_P(JobStoreTest, RepeatedHeartbeatBringsItsNewsOnce) {
  Create("a");
  v1::HeartbeatRequest news;
  news.set_lease_token(AcquireAs("w").lease_token());
  news.set_sequence(1);
  news.add_log_lines()->set_text("one");
  news.add_samples()->set_step(10);
  news.mutable_checkpoint()->set_step(10);
  for (int i = 0; i < 2; ++i) {
    ASSERT_TRUE(store().Renew(news).ok());
    EXPECT_EQ(Events("a").size(), 5u);
    clock_.Advance(kTestLease / 2);
    Reopen();
  }
  EXPECT_EQ(*store().ExpireLeases(), 0) << "it renews the lease all the same";
  news.set_sequence(2);  // with a line of the same text
  news.mutable_progress()->set_done(1);
  ASSERT_TRUE(store().Renew(news).ok());
  EXPECT_EQ(Events("a").size(), 9u);
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

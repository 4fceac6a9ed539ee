// Jobs as clients see them: created, watched, cancelled, retried, deleted; and kept over a restart.
#include "server/jobs/contract/job_store_contract.h"
#include "server/jobs/event_cursor.h"

namespace likeness::server {
namespace {

using ::testing::IsEmpty;

TEST_P(JobStoreTest, CreatedJobWaitsWithItsFirstEvent) {
  Create("a");
  EXPECT_EQ(StateOf("a"), v1::JOB_STATE_PENDING);
  const auto events = Events("a");
  ASSERT_EQ(events.size(), 1u);
  EXPECT_EQ(events[0].seq(), 1);
  EXPECT_EQ(events[0].state_change().to(), v1::JOB_STATE_PENDING);
}

TEST_P(JobStoreTest, UnknownJobIsNotFound) {
  EXPECT_EQ(ErrorReason(store().Get({"default", "nobody"}).status()), "JOB_NOT_FOUND");
  EXPECT_EQ(ErrorReason(store().Cancel({"default", "nobody"}, "").status()), "JOB_NOT_FOUND");
}

TEST_P(JobStoreTest, NameIsUsedOnce) {
  Create("a");
  EXPECT_EQ(ErrorReason(store().Create(PictureJob("a")).status()), "JOB_EXISTS");
}

TEST_P(JobStoreTest, SameRequestIdReturnsTheFirstJob) {
  NewJob first = PictureJob("a");
  first.request_id = "r";
  first.fingerprint = "f";
  NewJob again = PictureJob("b");
  again.request_id = "r";
  again.fingerprint = "f";
  ASSERT_TRUE(store().Create(first).ok());
  EXPECT_EQ(store().Create(again)->uid(), "uid-a");
  EXPECT_EQ((*store().FindRequest("default", "r", "f"))->uid(), "uid-a");
  EXPECT_EQ(ErrorReason(store().Get({"default", "b"}).status()), "JOB_NOT_FOUND");
}

TEST_P(JobStoreTest, RequestIdWithAnotherBodyIsRefused) {
  NewJob first = PictureJob("a");
  first.request_id = "r";
  first.fingerprint = "f";
  ASSERT_TRUE(store().Create(first).ok());
  NewJob other = PictureJob("b");
  other.request_id = "r";
  other.fingerprint = "g";
  EXPECT_EQ(ErrorReason(store().Create(other).status()), "REQUEST_ID_REUSED");
  EXPECT_EQ(ErrorReason(store().FindRequest("default", "r", "g").status()), "REQUEST_ID_REUSED");
}

TEST_P(JobStoreTest, WaitingJobIsCancelledAtOnce) {
  Create("a");
  EXPECT_EQ(store().Cancel({"default", "a"}, "")->state(), v1::JOB_STATE_CANCELLED);
  EXPECT_TRUE(NothingToLease());
  EXPECT_TRUE(store().Cancel({"default", "a"}, "").ok()) << "repeating is fine";
}

TEST_P(JobStoreTest, FinishedJobCannotBeCancelled) {
  Create("a");
  ASSERT_TRUE(Complete(AcquireAs("w").lease_token()).ok());
  EXPECT_EQ(ErrorReason(store().Cancel({"default", "a"}, "").status()), "JOB_FINISHED");
}

TEST_P(JobStoreTest, RetriedJobHasAllItsAttemptsAgain) {
  Create("a");
  ASSERT_TRUE(Fail(AcquireAs("w").lease_token(), /*retryable=*/false).ok());
  const auto retried = Retry("a");
  ASSERT_TRUE(retried.ok()) << retried.status();
  EXPECT_EQ(retried->state(), v1::JOB_STATE_PENDING);
  EXPECT_FALSE(retried->has_error());
  EXPECT_FALSE(retried->has_end_time());
  for (int attempt = 2; attempt <= 3; ++attempt) {  // max_attempts is 2
    const auto lease = AcquireAs("w");
    EXPECT_EQ(lease.job().attempt(), attempt);
    ASSERT_TRUE(Fail(lease.lease_token(), /*retryable=*/true).ok());
    clock_.Advance(absl::Minutes(1));
  }
  EXPECT_EQ(StateOf("a"), v1::JOB_STATE_FAILED);
}

TEST_P(JobStoreTest, RetryingAgainWhileTheJobWaitsOrRunsChangesNothing) {
  Create("a");
  ASSERT_TRUE(store().Cancel({"default", "a"}, "").ok());
  ASSERT_TRUE(Retry("a").ok());
  const std::string etag = Get("a").etag();
  EXPECT_EQ(Retry("a")->etag(), etag);
  const auto lease = AcquireAs("w");
  EXPECT_EQ(Retry("a")->state(), v1::JOB_STATE_RUNNING);
  EXPECT_TRUE(Complete(lease.lease_token()).ok());
}

TEST_P(JobStoreTest, RetryOfWhatSucceededOrIsStoppingIsRefused) {
  Create("a");
  const auto lease = AcquireAs("w");
  ASSERT_TRUE(store().Cancel({"default", "a"}, "").ok());
  EXPECT_EQ(ErrorReason(Retry("a").status()), "JOB_CANCELLING");
  ASSERT_TRUE(Release(lease.lease_token(), v1::RELEASE_REASON_CANCELLED).ok());
  ASSERT_TRUE(Retry("a").ok());
  ASSERT_TRUE(Complete(AcquireAs("w").lease_token()).ok());
  EXPECT_EQ(ErrorReason(Retry("a").status()), "JOB_FINISHED");
  EXPECT_EQ(ErrorReason(Retry("nobody").status()), "JOB_NOT_FOUND");
}

TEST_P(JobStoreTest, RetriedJobGoesOnFromItsCheckpointUnlessThatIsGone) {
  Create("a");
  v1::HeartbeatRequest news;
  news.set_lease_token(AcquireAs("w").lease_token());
  news.mutable_checkpoint()->set_step(40);
  ASSERT_TRUE(store().Renew(news).ok());
  ASSERT_TRUE(Fail(news.lease_token(), /*retryable=*/false).ok());
  ASSERT_TRUE(Retry("a").ok());
  const auto second = AcquireAs("w");
  EXPECT_EQ(second.checkpoint().step(), 40);
  ASSERT_TRUE(Fail(second.lease_token(), /*retryable=*/false).ok());
  ASSERT_TRUE(Retry("a", /*checkpoint_stored=*/false).ok());
  EXPECT_FALSE(AcquireAs("w").has_checkpoint());
}

TEST_P(JobStoreTest, CursorGoesOnOverARetryThatCameMeanwhile) {
  Create("a");
  ASSERT_TRUE(store().Cancel({"default", "a"}, "").ok());
  EventCursor cursor(store(), {"default", "a"}, KeyOf("a"), 0, /*job_ended=*/false, 0);
  EXPECT_EQ((*cursor.Next())->seq(), 1);
  ASSERT_TRUE(Retry("a").ok());
  EXPECT_EQ((*cursor.Next())->state_change().to(), v1::JOB_STATE_CANCELLED);
  EXPECT_FALSE(cursor.ended());
  EXPECT_EQ((*cursor.Next())->state_change().to(), v1::JOB_STATE_PENDING);
  ASSERT_TRUE(store().Cancel({"default", "a"}, "").ok());
  EXPECT_EQ((*cursor.Next())->seq(), 4);
  EXPECT_TRUE(cursor.ended());
}

TEST_P(JobStoreTest, EventsOfADeletedJobAreNotThoseOfTheNextOfItsName) {
  Create("a");
  const int64_t first = KeyOf("a");
  ASSERT_TRUE(store().Cancel({"default", "a"}, "").ok());
  ASSERT_TRUE(store().Delete({"default", "a"}, "").ok());
  Create("a");  // at the same moment
  EXPECT_EQ(ErrorReason(store().EventsAfter({"default", "a"}, first, 0, 10).status()),
            "JOB_NOT_FOUND");
  EXPECT_EQ(Events("a").size(), 1u);
}

TEST_P(JobStoreTest, DeletedJobLeavesNothingButItsModel) {
  MakeModel("rex");
  NewJob job = PictureJob("a");
  job.request_id = "r";
  job.fingerprint = "f";
  ASSERT_TRUE(store().Create(job).ok());
  ASSERT_TRUE(store().Cancel({"default", "a"}, "").ok());
  for (const char* id : {"a", "make-rex"}) {
    ASSERT_TRUE(store().Delete({"default", id}, "").ok());
    EXPECT_EQ(ErrorReason(store().Get({"default", id}).status()), "JOB_NOT_FOUND");
    EXPECT_EQ(ErrorReason(store().EventsAfter({"default", id}, 0, 0, 10).status()),
              "JOB_NOT_FOUND");
    EXPECT_EQ(ErrorReason(store().Delete({"default", id}, "")), "JOB_NOT_FOUND");
  }
  EXPECT_THAT(store().List("default", {})->jobs, IsEmpty());
  EXPECT_FALSE(store().FindRequest("default", "r", "f")->has_value());
  EXPECT_EQ(store().GetModel({"default", "rex"})->job(), "tenants/default/jobs/make-rex");
  ASSERT_TRUE(store().Create(job).ok()) << "name and request id are free";
  EXPECT_EQ(Events("a").size(), 1u) << "its history is its own";
  EXPECT_EQ(StateOf("a"), v1::JOB_STATE_PENDING);
  EXPECT_TRUE(store().GetModel({"default", "rex"}).ok());
  ASSERT_TRUE(store().Cancel({"default", "a"}, "").ok());
  EXPECT_TRUE(store().GetModel({"default", "rex"}).ok()) << "another job's end is not its own";
}

TEST_P(JobStoreTest, OnlyJobsThatEndedAreDeleted) {
  Create("a");
  EXPECT_EQ(ErrorReason(store().Delete({"default", "a"}, "")), "JOB_NOT_FINISHED");
  const auto lease = AcquireAs("w");
  EXPECT_EQ(ErrorReason(store().Delete({"default", "a"}, "")), "JOB_NOT_FINISHED");
  ASSERT_TRUE(store().Cancel({"default", "a"}, "").ok());
  EXPECT_EQ(ErrorReason(store().Delete({"default", "a"}, "")), "JOB_NOT_FINISHED");
  const std::string old_etag = Get("a").etag();
  ASSERT_TRUE(Release(lease.lease_token(), v1::RELEASE_REASON_CANCELLED).ok());
  EXPECT_EQ(ErrorReason(store().Delete({"default", "a"}, old_etag)), "ETAG_MISMATCH");
  EXPECT_TRUE(store().Delete({"default", "a"}, Get("a").etag()).ok());
  EXPECT_EQ(ErrorReason(Complete(lease.lease_token())), "LEASE_LOST");
}

TEST_P(JobStoreTest, EtagMustMatch) {
  Create("a");
  const std::string etag = Get("a").etag();
  AcquireAs("w");
  EXPECT_EQ(ErrorReason(store().Cancel({"default", "a"}, etag).status()), "ETAG_MISMATCH");
  EXPECT_TRUE(store().Cancel({"default", "a"}, Get("a").etag()).ok());
  const auto always = [](const std::string&) { return true; };
  EXPECT_EQ(ErrorReason(store().Retry({"default", "a"}, etag, always).status()), "ETAG_MISMATCH");
}

TEST_P(JobStoreTest, OnlyProgressThatWasReplacedIsMissingFromTheEvents) {
  Create("a");
  const auto lease = AcquireAs("w");
  for (int i = 1; i <= 20; ++i) ASSERT_TRUE(Renew(lease.lease_token(), i).ok());
  ASSERT_TRUE(Complete(lease.lease_token()).ok());
  const auto events = Events("a");
  ASSERT_GE(events.size(), 4u);
  for (size_t i = 0; i < events.size(); ++i) {
    if (events[i].has_progress()) continue;  // of what came before it
    EXPECT_EQ(events[i].seq(), i == 0 ? 1 : events[i - 1].seq() + 1);
  }
  EXPECT_EQ(events[events.size() - 2].progress().done(), 20);
  EXPECT_EQ(events.back().seq(), 23);
  EXPECT_EQ(events.back().state_change().to(), v1::JOB_STATE_SUCCEEDED);
  EXPECT_EQ(Events("a", 20).front().seq(), 22);
}

// Reports of an attempt that has measured nothing yet, and of the phases after training, say
// nothing of it.
TEST_P(JobStoreTest, WhatWasMeasuredInTrainingOutlivesItsAttempt) {
  Create("a");
  const auto first = AcquireAs("w").lease_token();
  v1::HeartbeatRequest news;
  news.set_lease_token(first);
  news.mutable_progress()->set_done(50);
  news.mutable_progress()->mutable_measurements()->set_validation_loss(0.25);
  news.mutable_progress()->mutable_measurements()->set_validation_loss_step(50);
  ASSERT_TRUE(store().Renew(news).ok());
  EXPECT_EQ(Events("a").back().progress().measurements().validation_loss(), 0.25);
  const auto kept = [&] { return Get("a").progress().measurements().validation_loss_step(); };
  ASSERT_TRUE(Renew(first, 51).ok());
  EXPECT_EQ(kept(), 50);
  EXPECT_EQ(Events("a").back().progress().measurements().validation_loss_step(), 50);
  clock_.Advance(kTestLease + absl::Seconds(1));
  ASSERT_EQ(*store().ExpireLeases(), 1);
  EXPECT_EQ(kept(), 50);
  EXPECT_EQ(Get("a").progress().done(), 0);
  clock_.Advance(kTestRetry);
  const auto second = AcquireAs("w").lease_token();
  Reopen();
  ASSERT_TRUE(Renew(second, 1).ok());
  EXPECT_EQ(kept(), 50);
  news.set_lease_token(second);
  news.mutable_progress()->mutable_measurements()->set_validation_loss_step(40);
  ASSERT_TRUE(store().Renew(news).ok());
  EXPECT_EQ(kept(), 40);
  ASSERT_TRUE(Complete(second).ok());
  EXPECT_EQ(kept(), 40);
}

TEST_P(JobStoreTest, SnapshotMatchesTheEvents) {
  Create("a");
  AcquireAs("w");
  const auto snapshot = store().Snapshot({"default", "a"});
  EXPECT_EQ(snapshot->last_seq, Events("a").back().seq());
  EXPECT_EQ(snapshot->job.state(), v1::JOB_STATE_RUNNING);
}

TEST_P(JobStoreTest, EverythingOutlivesARestart) {
  Create("a");
  Create("b");
  const auto lease = AcquireAs("w");
  ASSERT_TRUE(Renew(lease.lease_token(), 7).ok());
  const auto before = Events("a");
  const std::string key = store().signing_key();
  Reopen();
  EXPECT_EQ(store().signing_key(), key);
  EXPECT_EQ(Events("a").size(), before.size());
  EXPECT_EQ(Get("a").progress().done(), 7);
  EXPECT_TRUE(Renew(lease.lease_token(), 8).ok()) << "the lease goes on";
  EXPECT_TRUE(Complete(lease.lease_token()).ok());
  EXPECT_EQ(AcquireAs("w").job().uid(), "uid-b");
}

}  // namespace
}  // namespace likeness::server

#include "server/jobs/job_store_contract.h"

#include <algorithm>
#include <random>
#include <set>
#include <thread>

#include "server/jobs/event_cursor.h"
#include "server/jobs/proto_time.h"

namespace likeness::server {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

std::vector<std::string> Names(const JobPage& page) {
  std::vector<std::string> ids;
  for (const v1::Job& job : page.jobs) ids.push_back(job.uid());
  return ids;
}

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

TEST_P(JobStoreTest, OldestJobIsLeasedFirst) {
  Create("a");
  Create("b");
  EXPECT_EQ(AcquireAs("w").job().uid(), "uid-a");
  EXPECT_EQ(AcquireAs("w").job().uid(), "uid-b");
  EXPECT_TRUE(NothingToLease());
}

TEST_P(JobStoreTest, WorkerGetsOnlyWhatItCanRun) {
  Create("a");
  auto offer = Offer("other");
  offer.mutable_base_models(0)->set_name("models/other");
  EXPECT_FALSE(store().Acquire(offer)->has_value());
  offer = Offer("trainer");
  offer.clear_methods();
  EXPECT_FALSE(store().Acquire(offer)->has_value());
}

TEST_P(JobStoreTest, QueuePositionCountsJobsBefore) {
  Create("a");
  Create("b");
  Create("c");
  EXPECT_EQ(Get("a").queue_position(), 0);
  EXPECT_EQ(Get("c").queue_position(), 2);
  AcquireAs("w");
  EXPECT_EQ(Get("c").queue_position(), 1);
}

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

TEST_P(JobStoreTest, CheckpointBindsTheJobToTheSameModelFiles) {
  Create("a");
  v1::HeartbeatRequest news;
  news.set_lease_token(AcquireAs("w").lease_token());
  news.mutable_checkpoint()->mutable_resolved()->set_base_model_digest("d1");
  ASSERT_TRUE(store().Renew(news).ok());
  ASSERT_TRUE(Release(news.lease_token(), v1::RELEASE_REASON_PREEMPTED).ok());
  EXPECT_TRUE(NothingToLease());
  auto offer = Offer("same files");
  offer.mutable_base_models(0)->set_digest("d1");
  EXPECT_TRUE(store().Acquire(offer)->has_value());
}

TEST_P(JobStoreTest, WaitingJobIsCancelledAtOnce) {
  Create("a");
  EXPECT_EQ(store().Cancel({"default", "a"}, "")->state(), v1::JOB_STATE_CANCELLED);
  EXPECT_TRUE(NothingToLease());
  EXPECT_TRUE(store().Cancel({"default", "a"}, "").ok()) << "repeating is fine";
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

TEST_P(JobStoreTest, RetriedJobTakesTheNameOfItsModelAgain) {
  NewJob training = PictureJob("t");
  training.job.mutable_fine_tune()->set_base_model("models/mini");
  training.job.set_output_model("tenants/default/models/rex");
  ASSERT_TRUE(store().Create(training).ok());
  ASSERT_TRUE(store().Cancel({"default", "t"}, "").ok());
  training.job.set_name("tenants/default/jobs/rival");
  ASSERT_TRUE(store().Create(training).ok());
  EXPECT_EQ(ErrorReason(Retry("t").status()), "MODEL_EXISTS");
  EXPECT_EQ(StateOf("t"), v1::JOB_STATE_CANCELLED) << "nothing of it is kept";
  ASSERT_TRUE(store().Cancel({"default", "rival"}, "").ok());
  ASSERT_TRUE(Retry("t").ok());
  EXPECT_EQ(ErrorReason(Retry("rival").status()), "MODEL_EXISTS");
}

TEST_P(JobStoreTest, CursorGoesOnOverARetryThatCameMeanwhile) {
  Create("a");
  ASSERT_TRUE(store().Cancel({"default", "a"}, "").ok());
  EventCursor cursor(store(), {"default", "a"}, 0, false);
  EXPECT_EQ((*cursor.Next())->seq(), 1);
  ASSERT_TRUE(Retry("a").ok());
  EXPECT_EQ((*cursor.Next())->state_change().to(), v1::JOB_STATE_CANCELLED);
  EXPECT_FALSE(cursor.ended());
  EXPECT_EQ((*cursor.Next())->state_change().to(), v1::JOB_STATE_PENDING);
  ASSERT_TRUE(store().Cancel({"default", "a"}, "").ok());
  EXPECT_EQ((*cursor.Next())->seq(), 4);
  EXPECT_TRUE(cursor.ended());
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
    EXPECT_EQ(ErrorReason(store().EventsAfter({"default", id}, 0, 10).status()), "JOB_NOT_FOUND");
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

TEST_P(JobStoreTest, EventsHaveNoGaps) {
  Create("a");
  const auto lease = AcquireAs("w");
  for (int i = 1; i <= 20; ++i) ASSERT_TRUE(Renew(lease.lease_token(), i).ok());
  ASSERT_TRUE(Complete(lease.lease_token()).ok());
  const auto events = Events("a");
  ASSERT_EQ(events.size(), 23u);
  for (size_t i = 0; i < events.size(); ++i) EXPECT_EQ(events[i].seq(), static_cast<int>(i) + 1);
  EXPECT_EQ(Events("a", 20).front().seq(), 21);
}

TEST_P(JobStoreTest, SnapshotMatchesTheEvents) {
  Create("a");
  AcquireAs("w");
  const auto snapshot = store().Snapshot({"default", "a"});
  EXPECT_EQ(snapshot->last_seq, Events("a").back().seq());
  EXPECT_EQ(snapshot->job.state(), v1::JOB_STATE_RUNNING);
}

TEST_P(JobStoreTest, PagesListNewestFirst) {
  for (const char* id : {"a", "b", "c"}) Create(id);
  JobQuery query;
  query.limit = 2;
  auto page = *store().List("default", query);
  EXPECT_THAT(Names(page), ElementsAre("uid-c", "uid-b"));
  ASSERT_TRUE(page.next);
  query.after = page.next;
  page = *store().List("default", query);
  EXPECT_THAT(Names(page), ElementsAre("uid-a"));
  EXPECT_FALSE(page.next);
  EXPECT_THAT(store().List("another", {})->jobs, IsEmpty());
}

// Jobs of every state, method, model and label, some ended, at different times.
std::vector<v1::Job> VariedJobs(const std::function<NewJob(const std::string&)>& make,
                                JobStore& store, FakeClock& clock,
                                const std::function<v1::Lease()>& acquire, std::mt19937& random) {
  for (int i = 0; i < 30; ++i) {
    NewJob job = make("j" + std::to_string(i));
    if (random() % 2) (*job.job.mutable_labels())["project"] = random() % 2 ? "x" : "a \"b\" c";
    if (random() % 3 == 0) (*job.job.mutable_labels())["owner-1"] = "me";
    if (random() % 2) {
      job.job.mutable_fine_tune()->set_base_model(random() % 2 ? "models/mini" : "models/other");
    }
    EXPECT_TRUE(store.Create(job).ok());
    clock.Advance(absl::Seconds(random() % 3));
  }
  for (int i = 0; i < 30; ++i) {
    const JobName name{"default", "j" + std::to_string(random() % 30)};
    if (random() % 2) {
      (void)store.Cancel(name, "");
    } else if (const v1::Lease lease = acquire(); !lease.lease_token().empty()) {
      v1::CompleteLeaseRequest good;
      v1::FailLeaseRequest bad;
      good.set_lease_token(lease.lease_token());
      bad.set_lease_token(lease.lease_token());
      const int outcome = static_cast<int>(random() % 3);
      if (outcome == 0) {
        EXPECT_TRUE(store.Complete(good).ok());
      } else if (outcome == 1) {
        EXPECT_TRUE(store.Fail(bad).ok());
      }
    }
    clock.Advance(absl::Seconds(random() % 3));
  }
  JobQuery all;
  all.limit = 1000;
  return store.List("default", all)->jobs;
}

std::string RandomFilter(std::mt19937& random, absl::Time around, int depth) {
  const auto pick = [&](std::vector<std::string> options) {
    return options[random() % options.size()];
  };
  const auto more = [&] { return RandomFilter(random, around, depth - 1); };
  if (depth > 0 && random() % 3 != 0) {
    return "(" + more() + pick({" AND ", " OR "}) + pick({"", "NOT ", "-"}) + more() + ")";
  }
  const std::string time = absl::FormatTime(
      absl::RFC3339_full, around + absl::Seconds(random() % 60), absl::UTCTimeZone());
  return pick({"state = " + pick({"PENDING", "JOB_STATE_RUNNING", "SUCCEEDED", "FAILED"}),
               "state != CANCELLED", "method = generate", "method != generate",
               "model = \"models/mini\"", "model != models/mini", "labels.project = x",
               "labels.project != \"a \\\"b\\\" c\"", "labels:project", "labels.owner-1=me",
               pick({"create_time", "end_time"}) + pick({"<", "<=", ">", ">=", "=", "!="}) + time});
}

TEST_P(JobStoreTest, FiltersFindWhatMatchesInEveryOrderAndPage) {
  std::mt19937 random(1);
  const absl::Time start = clock_.Now();
  const auto acquire = [&] {
    const auto lease = store().Acquire(Offer("w"));
    return lease.ok() && *lease ? **lease : v1::Lease();
  };
  const auto jobs = VariedJobs(PictureJob, store(), clock_, acquire, random);
  ASSERT_EQ(jobs.size(), 30u);
  size_t found = 0;
  for (int round = 0; round < 300; ++round) {
    const std::string text = RandomFilter(random, start, 3);
    const std::string order =
        std::vector<std::string>{"", "create_time", "end_time", "end_time desc"}[random() % 4];
    JobQuery query;
    const auto filter = ParseJobFilter(text);
    ASSERT_TRUE(filter.ok()) << text << ": " << filter.status();
    query.filter = *filter;
    query.order = *ParseJobOrder(order);
    query.limit = 1 + static_cast<int>(random() % 8);

    std::vector<std::string> expected;  // jobs are the newest first
    for (const v1::Job& job : jobs) {
      if (Matches(*filter, job)) expected.push_back(job.uid());
    }
    const auto end_of = [&](const std::string& uid) {
      const auto job = std::find_if(jobs.begin(), jobs.end(),
                                    [&](const v1::Job& job) { return job.uid() == uid; });
      return job->has_end_time() ? FromProto(job->end_time()) : absl::InfiniteFuture();
    };
    if (order == "create_time" || order == "end_time")
      std::reverse(expected.begin(), expected.end());
    if (order == "end_time" || order == "end_time desc") {
      std::stable_sort(expected.begin(), expected.end(), [&](const auto& a, const auto& b) {
        return order == "end_time" ? end_of(a) < end_of(b) : end_of(a) > end_of(b);
      });
    }
    std::vector<std::string> listed;
    do {
      const auto page = *store().List("default", query);
      const auto names = Names(page);
      listed.insert(listed.end(), names.begin(), names.end());
      query.after = page.next;
    } while (query.after);
    EXPECT_EQ(listed, expected) << text << " by " << order;
    found += listed.size();
  }
  EXPECT_GT(found, 300u) << "the filters are not so strict that they say nothing";
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

TEST_P(JobStoreTest, LeaseOutlivesALongOutage) {
  Create("a");
  const auto lease = AcquireAs("w");
  clock_.Advance(10 * kTestLease);
  Reopen();
  ASSERT_TRUE(store().ExtendLeases().ok());
  EXPECT_EQ(*store().ExpireLeases(), 0);
  EXPECT_TRUE(Complete(lease.lease_token()).ok());
}

TEST_P(JobStoreTest, ModelExistsOnceItsJobSucceeded) {
  NewJob training = PictureJob("t");
  training.job.mutable_fine_tune()->set_base_model("models/mini");
  training.job.set_output_model("tenants/default/models/rex");
  const ModelName rex{"default", "rex"};
  EXPECT_EQ(ErrorReason(store().GetModel(rex).status()), "MODEL_NOT_FOUND");
  ASSERT_TRUE(store().Create(training).ok());
  EXPECT_EQ(ErrorReason(store().GetModel(rex).status()), "MODEL_NOT_READY");
  EXPECT_EQ(ErrorReason(store().DeleteModel(rex)), "MODEL_NOT_READY");
  EXPECT_THAT(store().ListModels("default", "", 10)->models, IsEmpty());
  NewJob rival = training;
  rival.job.set_name("tenants/default/jobs/rival");
  EXPECT_EQ(ErrorReason(store().Create(rival).status()), "MODEL_EXISTS");

  v1::CompleteLeaseRequest outcome;
  outcome.set_lease_token(AcquireAs("w").lease_token());
  auto* file = outcome.add_outputs();
  file->set_path("model/unet/config.json");
  file->set_kind(v1::OUTPUT_KIND_MODEL_FILE);
  file->set_size_bytes(7);
  outcome.add_outputs()->set_path("samples/0.png");
  outcome.mutable_resolved()->mutable_fine_tune()->mutable_subject()->set_token("rhf");
  outcome.mutable_resolved()->set_base_model_digest("d1");
  ASSERT_TRUE(store().Complete(outcome).ok());
  const auto model = store().GetModel(rex);
  ASSERT_TRUE(model.ok()) << model.status();
  EXPECT_EQ(model->name(), "tenants/default/models/rex");
  EXPECT_EQ(model->job(), "tenants/default/jobs/t");
  EXPECT_EQ(model->base_model(), "models/mini");
  EXPECT_EQ(model->base_model_digest(), "d1");
  EXPECT_EQ(model->token(), "rhf");
  EXPECT_EQ(model->size_bytes(), 7);
  EXPECT_EQ(model->files_size(), 1);

  NewJob drawing = PictureJob("d");
  drawing.job.mutable_generate()->set_model("tenants/default/models/rex");
  ASSERT_TRUE(store().Create(drawing).ok());
  const auto lease = AcquireAs("w");
  ASSERT_EQ(lease.model_files_size(), 1);
  EXPECT_EQ(lease.model_files(0).path(), "unet/config.json");
}

TEST_P(JobStoreTest, ModelsAreListedByNameInPages) {
  for (const char* id : {"c", "a", "b"}) MakeModel(id);
  const auto ids = [](const ModelPage& page) {
    std::vector<std::string> ids;
    for (const v1::Model& model : page.models) ids.push_back(model.name().substr(23));
    return ids;
  };
  const auto first = *store().ListModels("default", "", 2);
  EXPECT_THAT(ids(first), ElementsAre("a", "b"));
  ASSERT_TRUE(first.next);
  const auto second = *store().ListModels("default", *first.next, 2);
  EXPECT_THAT(ids(second), ElementsAre("c"));
  EXPECT_FALSE(second.next);
  EXPECT_THAT(store().ListModels("another", "", 2)->models, IsEmpty());
}

TEST_P(JobStoreTest, ModelIsDeletedOnceNobodyDrawsWithIt) {
  MakeModel("rex");
  const ModelName rex{"default", "rex"};
  NewJob drawing = PictureJob("d");
  drawing.job.mutable_generate()->set_model(rex.ToString());
  ASSERT_TRUE(store().Create(drawing).ok());
  EXPECT_EQ(ErrorReason(store().DeleteModel(rex)), "MODEL_IN_USE");
  ASSERT_TRUE(store().Cancel({"default", "d"}, "").ok());
  EXPECT_TRUE(store().DeleteModel(rex).ok());
  EXPECT_EQ(ErrorReason(store().DeleteModel(rex)), "MODEL_NOT_FOUND");
  EXPECT_EQ(StateOf("make-rex"), v1::JOB_STATE_SUCCEEDED) << "the job that made it stays";
  NewJob again = PictureJob("again");
  again.job.mutable_fine_tune()->set_base_model("models/mini");
  again.job.set_output_model(rex.ToString());
  EXPECT_TRUE(store().Create(again).ok()) << "the name is free";
}

TEST_P(JobStoreTest, JobWhoseModelIsGoneIsLeasedAllTheSame) {
  NewJob drawing = PictureJob("d");
  drawing.job.mutable_generate()->set_model("tenants/default/models/gone");
  ASSERT_TRUE(store().Create(drawing).ok());
  EXPECT_EQ(AcquireAs("w").model_files_size(), 0) << "the worker says what is wrong";
}

TEST_P(JobStoreTest, NameOfAFailedJobsModelIsFreeAgain) {
  NewJob training = PictureJob("t");
  training.job.mutable_fine_tune()->set_base_model("models/mini");
  training.job.set_output_model("tenants/default/models/rex");
  ASSERT_TRUE(store().Create(training).ok());
  ASSERT_TRUE(store().Cancel({"default", "t"}, "").ok());
  training.job.set_name("tenants/default/jobs/again");
  EXPECT_TRUE(store().Create(training).ok());
}

TEST_P(JobStoreTest, BaseModelsAreRemembered) {
  v1::BaseModel model;
  model.set_name("models/mini");
  model.set_digest("d1");
  ASSERT_TRUE(store().OfferBaseModels({model}).ok());
  model.set_digest("d2");
  ASSERT_TRUE(store().OfferBaseModels({model}).ok());
  Reopen();
  const auto models = *store().BaseModels();
  ASSERT_EQ(models.size(), 1u);
  EXPECT_EQ(models[0].digest(), "d2");
}

TEST_P(JobStoreTest, OneJobGoesToOneWorker) {
  constexpr int kJobs = 40;
  for (int i = 0; i < kJobs; ++i) Create("j" + std::to_string(i));
  std::vector<std::vector<std::string>> leased(4);
  std::vector<std::thread> workers;
  for (auto& mine : leased) {
    workers.emplace_back([&] {
      for (;;) {
        auto lease = store().Acquire(Offer("w"));
        if (!lease.ok() || !*lease) return;
        mine.push_back((*lease)->job().uid());
        EXPECT_TRUE(Complete((*lease)->lease_token()).ok());
      }
    });
  }
  for (std::thread& worker : workers) worker.join();
  std::set<std::string> distinct;
  size_t total = 0;
  for (const auto& mine : leased) {
    distinct.insert(mine.begin(), mine.end());
    total += mine.size();
  }
  EXPECT_EQ(total, static_cast<size_t>(kJobs));
  EXPECT_EQ(distinct.size(), static_cast<size_t>(kJobs));
}

}  // namespace
}  // namespace likeness::server

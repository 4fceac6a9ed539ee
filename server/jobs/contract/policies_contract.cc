// Policies: priority, tenants, time limits, retention, forecasts.
#include <map>
#include <random>
#include <set>

#include "common/spec_revision.h"
#include "server/jobs/contract/job_store_contract.h"
#include "server/jobs/job_state.h"
#include "server/jobs/policies/choice.h"
#include "server/jobs/policies/retention.h"
#include "server/jobs/proto_time.h"

namespace likeness::server {
namespace {

using ::testing::ElementsAre;

NewJob JobFor(const std::string& tenant, const std::string& id) {
  NewJob job;
  job.job.set_name("tenants/" + tenant + "/jobs/" + id);
  job.job.set_uid("uid-" + id);
  job.job.set_max_attempts(2);
  job.job.mutable_generate()->mutable_model()->set_name("baseModels/mini");
  return job;
}

TEST_P(JobStoreTest, UrgentJobIsLeasedFirst) {
  Create("a");
  NewJob urgent = PictureJob("urgent");
  urgent.job.set_priority(4);
  ASSERT_TRUE(store().Create(urgent).ok());
  EXPECT_EQ(Get("urgent").queue_position(), 0);
  EXPECT_EQ(Get("a").queue_position(), 1);
  EXPECT_EQ(AcquireAs("w").job().uid(), "uid-urgent");
}

TEST_P(JobStoreTest, JobRisesWhileItWaits) {
  NewJob patient = PictureJob("patient");
  patient.job.set_priority(1);
  ASSERT_TRUE(store().Create(patient).ok());
  clock_.Advance(2 * QueuePolicy().ageing);
  Create("b");
  EXPECT_EQ(AcquireAs("w").job().uid(), "uid-patient");
}

TEST_P(JobStoreTest, TenantsTakeTurns) {
  for (int i = 0; i < 3; ++i) {
    ASSERT_TRUE(store().Create(JobFor("flood", "f" + std::to_string(i))).ok());
  }
  ASSERT_TRUE(store().Create(JobFor("quiet", "q")).ok());
  EXPECT_EQ(store().Get({"quiet", "q"})->queue_position(), 0);
  std::vector<std::string> order;
  for (int i = 0; i < 4; ++i) {
    const auto lease = AcquireAs("w");
    order.push_back(lease.job().uid());
    ASSERT_TRUE(Complete(lease.lease_token()).ok());
    if (i == 1) Reopen();
  }
  EXPECT_THAT(order, ElementsAre("uid-f0", "uid-q", "uid-f1", "uid-f2"));
}

TEST_P(JobStoreTest, TenantWithoutARunningJobComesFirst) {
  for (int i = 0; i < 3; ++i) {
    ASSERT_TRUE(store().Create(JobFor("flood", "f" + std::to_string(i))).ok());
  }
  AcquireAs("w1");
  clock_.Advance(absl::Minutes(1));
  ASSERT_TRUE(store().Create(JobFor("quiet", "q")).ok());
  EXPECT_EQ(AcquireAs("w2").job().uid(), "uid-q");
}

TEST_P(JobStoreTest, ScheduledJobWaitsForItsTime) {
  NewJob job = PictureJob("later");
  *job.job.mutable_schedule_time() = ToProto(clock_.Now() + absl::Hours(1));
  ASSERT_TRUE(store().Create(job).ok());
  EXPECT_TRUE(NothingToLease());
  EXPECT_EQ(Get("later").queue_position(), 0);
  EXPECT_EQ(FromProto(Get("later").estimated_start_time()), clock_.Now() + absl::Hours(1));
  clock_.Advance(absl::Hours(1) - absl::Microseconds(1));
  EXPECT_TRUE(NothingToLease());
  Create("b");
  clock_.Advance(absl::Microseconds(1));
  EXPECT_EQ(AcquireAs("w").job().uid(), "uid-b") << "time before its own does not count as waiting";
  EXPECT_EQ(AcquireAs("w").job().uid(), "uid-later");
}

TEST_P(JobStoreTest, RetriedJobKeepsItsTime) {
  NewJob job = PictureJob("later");
  *job.job.mutable_schedule_time() = ToProto(clock_.Now() + absl::Hours(1));
  ASSERT_TRUE(store().Create(job).ok());
  ASSERT_TRUE(store().Cancel({"default", "later"}, "").ok());
  ASSERT_TRUE(Retry("later").ok());
  EXPECT_TRUE(NothingToLease());
}

TEST_P(JobStoreTest, JobIsForWorkersThatHaveWhatItRequires) {
  NewJob job = PictureJob("a");
  (*job.job.mutable_requirements()->mutable_labels())["zone"] = "a=b";
  job.job.mutable_requirements()->set_min_device_memory_bytes(1000);
  ASSERT_TRUE(store().Create(job).ok());
  EXPECT_TRUE(NothingToLease());
  auto offer = Offer("w");
  offer.set_device_memory_bytes(1000);
  EXPECT_FALSE(store().Acquire(offer)->has_value());
  (*offer.mutable_labels())["zone"] = "a=b";
  offer.set_device_memory_bytes(999);
  EXPECT_FALSE(store().Acquire(offer)->has_value());
  offer.set_device_memory_bytes(1000);
  EXPECT_TRUE(store().Acquire(offer)->has_value());
}

TEST_P(JobStoreTest, WarmPersonalizedModelIsPreferredForAWhile) {
  MakeModel("rex");
  Create("older");
  NewJob drawing = PictureJob("warm");
  drawing.job.mutable_generate()->mutable_model()->set_name("tenants/default/models/rex");
  ASSERT_TRUE(store().Create(drawing).ok());
  auto offer = Offer("w");
  offer.add_resident_models("tenants/default/models/rex");
  const auto lease = *store().Acquire(offer);
  ASSERT_TRUE(lease);
  EXPECT_EQ(lease->job().uid(), "uid-warm");
  ASSERT_TRUE(Release(lease->lease_token(), v1::RELEASE_REASON_PREEMPTED).ok());
  clock_.Advance(QueuePolicy().patience);
  EXPECT_EQ((*store().Acquire(offer))->job().uid(), "uid-older");
}

TEST_P(JobStoreTest, JobOfSeveralWarmModelsIsPreferredForAWhile) {
  MakeModel("rex");
  const auto with_adapter = [&](const std::string& id, const std::string& model) {
    NewJob drawing = PictureJob(id);
    auto& selection = *drawing.job.mutable_generate()->mutable_model();
    selection.set_name(model);
    selection.add_adapters()->set_model("tenants/default/models/rex");
    ASSERT_TRUE(store().Create(drawing).ok());
  };
  Create("older");
  with_adapter("over-the-base", "baseModels/mini");
  with_adapter("over-another", "tenants/default/models/rex");
  auto offer = Offer("w");
  offer.add_resident_models("tenants/default/models/rex");
  const auto first = *store().Acquire(offer);
  ASSERT_TRUE(first);
  EXPECT_EQ(first->job().uid(), "uid-over-another");
  offer.add_resident_models("baseModels/mini");
  EXPECT_EQ((*store().Acquire(offer))->job().uid(), "uid-over-the-base");
  EXPECT_EQ((*store().Acquire(offer))->job().uid(), "uid-older");
}

TEST_P(JobStoreTest, JobIsForWorkersThatKnowWhatItUses) {
  NewJob job = PictureJob("a");
  job.job.mutable_generate()->set_clip_skip(1);
  ASSERT_TRUE(store().Create(job).ok());
  EXPECT_TRUE(NothingToLease());
  auto offer = Offer("w");
  offer.set_spec_revision(kSpecRevision);
  EXPECT_TRUE(store().Acquire(offer)->has_value());
}

TEST_P(JobStoreTest, JobThatWaitsTooLongFails) {
  NewJob job = PictureJob("a");
  *job.job.mutable_max_queue_duration() = ToProto(absl::Minutes(10));
  *job.job.mutable_schedule_time() = ToProto(clock_.Now() + absl::Hours(1));
  ASSERT_TRUE(store().Create(job).ok());
  clock_.Advance(absl::Hours(1) + absl::Minutes(10) - absl::Microseconds(1));
  EXPECT_EQ(*store().TimeOutJobs(), 0);
  clock_.Advance(absl::Microseconds(1));
  EXPECT_EQ(*store().TimeOutJobs(), 1);
  EXPECT_EQ(StateOf("a"), v1::JOB_STATE_FAILED);
  const auto error = FromRpcStatus(Get("a").error());
  EXPECT_TRUE(absl::IsDeadlineExceeded(error));
  EXPECT_EQ(ErrorReason(error), "QUEUE_TIMEOUT");
  EXPECT_TRUE(NothingToLease());
  EXPECT_EQ(*store().TimeOutJobs(), 0);
  ASSERT_TRUE(Retry("a").ok());
  EXPECT_EQ(*store().TimeOutJobs(), 0) << "it waits anew";
  AcquireAs("w");
  clock_.Advance(absl::Minutes(20));
  EXPECT_EQ(*store().TimeOutJobs(), 0) << "it runs, and does not wait";
}

TEST_P(JobStoreTest, JobThatRunsTooLongIsStoppedAndItsWorkerLosesTheLease) {
  NewJob job = PictureJob("a");
  *job.job.mutable_execution_timeout() = ToProto(absl::Seconds(20));
  ASSERT_TRUE(store().Create(job).ok());
  const auto lease = AcquireAs("w");
  clock_.Advance(absl::Seconds(20));
  ASSERT_EQ(*store().TimeOutJobs(), 1);
  EXPECT_EQ(StateOf("a"), v1::JOB_STATE_FAILED);
  EXPECT_EQ(ErrorReason(FromRpcStatus(Get("a").error())), "EXECUTION_TIMEOUT");
  EXPECT_EQ(ErrorReason(Renew(lease.lease_token()).status()), "LEASE_LOST");
  EXPECT_EQ(ErrorReason(Complete(lease.lease_token())), "LEASE_LOST");
  EXPECT_EQ(ErrorReason(Fail(lease.lease_token(), true)), "LEASE_LOST");
  EXPECT_EQ(*store().ExpireLeases(), 0);
  ASSERT_TRUE(Retry("a").ok());
  const auto again = AcquireAs("w");
  clock_.Advance(absl::Seconds(19));
  EXPECT_EQ(*store().TimeOutJobs(), 0) << "it has the whole time again";
  EXPECT_TRUE(Complete(again.lease_token()).ok());
}

TEST_P(JobStoreTest, AttemptsShareTheTimeThatAJobMayRun) {
  NewJob job = PictureJob("a");
  *job.job.mutable_execution_timeout() = ToProto(absl::Seconds(20));
  ASSERT_TRUE(store().Create(job).ok());
  const auto first = AcquireAs("w");
  clock_.Advance(absl::Seconds(15));
  ASSERT_TRUE(Release(first.lease_token(), v1::RELEASE_REASON_PREEMPTED).ok());
  clock_.Advance(absl::Hours(1));
  EXPECT_EQ(*store().TimeOutJobs(), 0) << "it waits, and does not run";
  AcquireAs("w");
  clock_.Advance(absl::Seconds(4));
  EXPECT_EQ(*store().TimeOutJobs(), 0);
  ASSERT_TRUE(store().CheckWritable().ok());  // now and then, which keeps the time that has passed
  Reopen();
  clock_.Advance(absl::Seconds(1));
  EXPECT_EQ(*store().TimeOutJobs(), 1);
}

TEST_P(JobStoreTest, JobThatDoesNotStopInItsTimeIsCancelled) {
  NewJob job = PictureJob("a");
  *job.job.mutable_execution_timeout() = ToProto(absl::Seconds(20));
  ASSERT_TRUE(store().Create(job).ok());
  AcquireAs("w");
  ASSERT_TRUE(store().Cancel({"default", "a"}, "").ok());
  clock_.Advance(absl::Seconds(20));
  EXPECT_EQ(*store().TimeOutJobs(), 1);
  EXPECT_EQ(StateOf("a"), v1::JOB_STATE_CANCELLED);
}

TEST_P(JobStoreTest, EndedJobIsForgottenWhenItsTimeHasCome) {
  const RetentionPolicy kept;
  MakeModel("rex");
  Create("waits");
  clock_.Advance(absl::Hours(1));
  const absl::Time expiry = FromProto(Get("make-rex").expire_time());
  EXPECT_EQ(expiry, FromProto(Get("make-rex").end_time()) + kept.jobs);
  EXPECT_FALSE(Get("waits").has_expire_time());
  EXPECT_EQ(Events("make-rex").back().state_change().job().expire_time().seconds(),
            absl::ToUnixSeconds(expiry));
  clock_.Advance(kept.jobs - absl::Hours(1) - absl::Microseconds(1));
  EXPECT_EQ(store().Sweep()->jobs, 0);
  clock_.Advance(absl::Microseconds(1));
  EXPECT_EQ(store().Sweep()->jobs, 1);
  EXPECT_EQ(ErrorReason(store().Get({"default", "make-rex"}).status()), "JOB_NOT_FOUND");
  EXPECT_EQ(StateOf("waits"), v1::JOB_STATE_PENDING);
  EXPECT_TRUE(store().GetModel({"default", "rex"}).ok()) << "the model stays";
}

TEST_P(JobStoreTest, ManyJobsAreForgottenBitByBit) {
  for (int i = 0; i < 120; ++i) {
    Create("j" + std::to_string(i));
    ASSERT_TRUE(store().Cancel({"default", "j" + std::to_string(i)}, "").ok());
  }
  clock_.Advance(RetentionPolicy().jobs);
  int forgotten = 0;
  for (bool more = true; more;) {
    const auto swept = *store().Sweep();
    forgotten += swept.jobs;
    more = swept.more;
  }
  EXPECT_EQ(forgotten, 120);
}

TEST_P(JobStoreTest, EventsOfAnEndedJobAreCompacted) {
  Create("a");
  const auto lease = AcquireAs("w");
  for (int i = 1; i <= 5; ++i) ASSERT_TRUE(Renew(lease.lease_token(), i).ok());
  Log(lease.lease_token(), {"a line"});
  ASSERT_TRUE(Complete(lease.lease_token()).ok());
  const int64_t last = Events("a").back().seq();
  const int reports =
      static_cast<int>(Events("a").size()) - 4;  // without changes of state, the log
  ASSERT_GT(reports, 0);
  clock_.Advance(RetentionPolicy().events - absl::Microseconds(1));
  EXPECT_EQ(store().Sweep()->events, 0);
  clock_.Advance(absl::Microseconds(1));
  EXPECT_EQ(store().Sweep()->events, reports);
  EXPECT_EQ(store().Sweep()->events, 0);
  const auto expired = store().EventsAfter({"default", "a"}, KeyOf("a"), 3, 10).status();
  EXPECT_TRUE(absl::IsFailedPrecondition(expired));
  EXPECT_EQ(ErrorReason(expired), "RESUME_TOKEN_EXPIRED");
  ASSERT_EQ(Events("a", last - 1).size(), 1u) << "the end can still be seen";
  EXPECT_TRUE(Events("a", last).empty());
  EXPECT_EQ(StateOf("a"), v1::JOB_STATE_SUCCEEDED);
}

TEST_P(JobStoreTest, LogIsKeptAsLongAsItsJob) {
  Create("a");
  auto lease = AcquireAs("w");
  Log(lease.lease_token(), {"one", "two"});
  ASSERT_TRUE(Fail(lease.lease_token(), false).ok());
  clock_.Advance(RetentionPolicy().events);
  ASSERT_TRUE(store().Sweep().ok());
  EXPECT_THAT(LogOf("a"), ::testing::ElementsAre("one", "two"));
  ASSERT_TRUE(Retry("a").ok());
  lease = AcquireAs("w");
  Log(lease.lease_token(), {"three"});
  ASSERT_TRUE(Complete(lease.lease_token()).ok());
  clock_.Advance(RetentionPolicy().events);
  ASSERT_TRUE(store().Sweep().ok());
  EXPECT_THAT(LogOf("a"), ::testing::ElementsAre("one", "two", "three"));
  clock_.Advance(RetentionPolicy().jobs);
  EXPECT_EQ(store().Sweep()->jobs, 1);
}

TEST_P(JobStoreTest, OfALongLogTheEndIsKept) {
  Create("a");
  const auto lease = AcquireAs("w");
  std::vector<std::string> lines(1000);
  for (int i = 0; i < 10; ++i) {
    for (int line = 0; line < 1000; ++line) lines[line] = absl::StrCat(1000 * i + line);
    Log(lease.lease_token(), lines);
    const auto log = LogOf("a");
    EXPECT_LE(log.size(), 4000u) << "while it runs";
    ASSERT_GE(log.size(), 1000u);
    EXPECT_EQ(log.back(), lines.back());
  }
  ASSERT_TRUE(Complete(lease.lease_token()).ok());
  EXPECT_EQ(Events("a").front().state_change().to(), v1::JOB_STATE_PENDING) << "no state is lost";
  clock_.Advance(RetentionPolicy().events);
  ASSERT_TRUE(store().Sweep().ok());
  EXPECT_EQ(LogOf("a"), lines);
}

TEST_P(JobStoreTest, OfALogOfLongLinesFewerAreKept) {
  Create("a");
  const auto lease = AcquireAs("w");
  Log(lease.lease_token(), std::vector<std::string>(300, std::string(4000, 'x')));
  ASSERT_TRUE(Complete(lease.lease_token()).ok());
  clock_.Advance(RetentionPolicy().events);
  ASSERT_TRUE(store().Sweep().ok());
  EXPECT_EQ(LogOf("a").size(), (256u << 10) / 4000);
}

TEST_P(JobStoreTest, RetryAfterCompactionGoesOnWithNewEvents) {
  Create("a");
  auto lease = AcquireAs("w");
  ASSERT_TRUE(Renew(lease.lease_token(), 1).ok());
  ASSERT_TRUE(Fail(lease.lease_token(), false).ok());
  const int64_t end = store().Snapshot({"default", "a"})->last_seq;
  clock_.Advance(RetentionPolicy().events);
  ASSERT_EQ(store().Sweep()->events, 1);
  ASSERT_TRUE(Retry("a").ok());
  lease = AcquireAs("w");
  ASSERT_TRUE(Renew(lease.lease_token(), 2).ok());
  EXPECT_EQ(store().Sweep()->events, 0) << "it runs";
  EXPECT_EQ(Events("a", end).size(), 3u) << "a watch from the end of the first try sees it all";
  ASSERT_TRUE(Complete(lease.lease_token()).ok());
  clock_.Advance(RetentionPolicy().events);
  EXPECT_EQ(store().Sweep()->events, 1);
  EXPECT_EQ(ErrorReason(store().EventsAfter({"default", "a"}, KeyOf("a"), end, 10).status()),
            "RESUME_TOKEN_EXPIRED");
}

TEST_P(JobStoreTest, StartIsEstimatedFromWhatJobsTook) {
  for (const char* id : {"a", "b", "c", "d"}) Create(id);
  auto lease = AcquireAs("w");
  EXPECT_FALSE(Get("b").has_estimated_start_time()) << "nobody knows yet how long they take";
  clock_.Advance(absl::Seconds(10));
  ASSERT_TRUE(Complete(lease.lease_token()).ok());
  AcquireAs("w");
  clock_.Advance(absl::Seconds(4));
  EXPECT_EQ(FromProto(Get("c").estimated_start_time()), clock_.Now() + absl::Seconds(6));
  EXPECT_EQ(FromProto(Get("d").estimated_start_time()), clock_.Now() + absl::Seconds(16));
  const auto page = *store().List("default", {});
  EXPECT_EQ(FromProto(page.jobs.at(0).estimated_start_time()), clock_.Now() + absl::Seconds(16));
  EXPECT_FALSE(Get("b").has_estimated_start_time()) << "it runs";
}

// Whatever happens in whatever order: at most one token of a job is live, no job starts before its
// time, and none runs or waits for longer than it may.
TEST_P(JobStoreTest, RandomHistoriesKeepEveryPromise) {
  std::mt19937 random(7);
  const auto below = [&](int limit) {
    return static_cast<int>(random() % static_cast<unsigned>(limit));
  };
  const absl::Duration step = absl::Seconds(8);
  std::map<std::string, std::vector<std::string>> tokens;  // of each job, the newest last
  std::map<std::string, absl::Time> leased;
  std::map<std::string, v1::Job> created;
  int granted = 0;
  for (int turn = 0; turn < 1000; ++turn) {
    const std::string id = "j" + std::to_string(below(8));
    const auto token = [&]() -> std::string {
      return tokens[id].empty() ? "none" : tokens[id][random() % tokens[id].size()];
    };
    switch (below(9)) {
      case 0: {
        NewJob job = PictureJob(id);
        job.job.set_priority(1 + below(5));
        if (below(2)) *job.job.mutable_schedule_time() = ToProto(clock_.Now() + below(10) * step);
        if (below(2)) *job.job.mutable_execution_timeout() = ToProto((1 + below(6)) * step);
        if (below(2)) *job.job.mutable_max_queue_duration() = ToProto((1 + below(20)) * step);
        if (store().Create(job).ok()) created[id] = job.job;
        break;
      }
      case 1:
      case 2: {
        const auto lease = store().Acquire(Offer("w"));
        ASSERT_TRUE(lease.ok());
        if (!*lease) break;
        const std::string leased_id = (*lease)->job().uid().substr(4);
        tokens[leased_id].push_back((*lease)->lease_token());
        leased[leased_id] = clock_.Now();
        ++granted;
        const v1::Job& job = created[leased_id];
        if (job.has_schedule_time()) {
          EXPECT_GE(clock_.Now(), FromProto(job.schedule_time())) << leased_id;
        }
        break;
      }
      case 3:
        (void)Renew(token(), turn);
        break;
      case 4:
        (void)(below(3) == 0 ? Complete(token()) : Fail(token(), below(2) == 0));
        break;
      case 5:
        (void)Release(token(), v1::RELEASE_REASON_PREEMPTED);
        break;
      case 6:
        (void)(below(2) ? store().Cancel({"default", id}, "").status() : Retry(id).status());
        break;
      default:
        clock_.Advance(step);
    }
    ASSERT_TRUE(store().ExpireLeases().ok());
    ASSERT_TRUE(store().TimeOutJobs().ok());
    for (const auto& [job_id, given] : tokens) {
      for (size_t i = 0; i + 1 < given.size(); ++i) {
        EXPECT_EQ(ErrorReason(Renew(given[i]).status()), "LEASE_LOST") << job_id;
      }
    }
    for (const auto& [job_id, said] : created) {
      const v1::Job job = Get(job_id);
      if (IsLeased(job.state()) && said.has_execution_timeout()) {
        EXPECT_LT(clock_.Now() - leased[job_id], FromProto(said.execution_timeout())) << job_id;
      }
    }
  }
  EXPECT_GT(granted, 40);
  EXPECT_GT(created.size(), 4u);
}

TEST_P(JobStoreTest, ScheduleIsKeptByTheDateThoughThatIsSet) {
  NewJob job = PictureJob("a");
  const absl::Time scheduled = clock_.Now() + absl::Hours(2);
  *job.job.mutable_schedule_time() = ToProto(scheduled);
  *job.job.mutable_max_queue_duration() = ToProto(absl::Minutes(10));
  ASSERT_TRUE(store().Create(job).ok());
  clock_.Set(clock_.Now() - absl::Hours(3));
  ASSERT_TRUE(store().FollowDate().ok());
  clock_.Advance(absl::Hours(4));
  EXPECT_TRUE(NothingToLease());
  EXPECT_EQ(FromProto(Get("a").estimated_start_time()), scheduled);
  EXPECT_EQ(*store().TimeOutJobs(), 0);
  clock_.Set(scheduled);
  ASSERT_TRUE(store().FollowDate().ok());
  EXPECT_EQ(*store().TimeOutJobs(), 0);
  EXPECT_EQ(AcquireAs("w").job().name(), "tenants/default/jobs/a");
}

}  // namespace
}  // namespace likeness::server

// What a tenant may take is never exceeded, however many ask at the same time.
#include <atomic>
#include <map>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/error_details.h"
#include "common/rpc_error.h"
#include "gtest/gtest.h"
#include "server/jobs/proto_time.h"
#include "server/jobs/sqlite/sqlite_job_store.h"
#include "tests/support/test_server.h"

namespace likeness::server {
namespace {

constexpr int kThreads = 8;
constexpr absl::Duration kLease = absl::Seconds(30);

class QuotaTest : public ::testing::Test {
 protected:
  QuotaTest() {
    SqliteJobStoreOptions options;
    options.path = folder_.path() + "/jobs.sqlite";
    options.lease.duration = kLease;
    options.quotas = [this](const std::string& tenant) {
      const auto found = quotas_.find(tenant);
      return found == quotas_.end() ? JobQuota() : found->second;
    };
    store_ = *SqliteJobStore::Open(options, clock_);
  }

  absl::Status Create(const std::string& tenant, int number, const std::string& request_id = "") {
    NewJob job;
    job.job.set_name(absl::StrCat("tenants/", tenant, "/jobs/", number));
    job.job.mutable_generate()->mutable_model()->set_name("baseModels/mini");
    job.job.set_max_attempts(3);
    job.request_id = request_id;
    return store_->Create(job).status();
  }

  std::optional<v1::Lease> Acquire() {
    v1::AcquireLeaseRequest offer;
    offer.set_worker("w");
    offer.add_base_models()->set_name("baseModels/mini");
    offer.add_methods("generate");
    auto lease = store_->Acquire(offer);
    EXPECT_TRUE(lease.ok()) << lease.status();
    return *lease;
  }

  absl::Status Beat(const v1::Lease& lease) {
    v1::HeartbeatRequest news;
    news.set_lease_token(lease.lease_token());
    return store_->Renew(news).status();
  }

  absl::Status Complete(const v1::Lease& lease) {
    v1::CompleteLeaseRequest outcome;
    outcome.set_lease_token(lease.lease_token());
    return store_->Complete(outcome);
  }

  // A worker holds a job for so long, with a heartbeat every ten seconds.
  void Work(const v1::Lease& lease, absl::Duration time) {
    for (; time > absl::ZeroDuration(); time -= absl::Seconds(10)) {
      clock_.Advance(std::min(time, absl::Seconds(10)));
      EXPECT_TRUE(Beat(lease).ok());
    }
  }

  likeness::testing::TempFolder folder_;
  FakeClock clock_{absl::FromCivil(absl::CivilSecond(2026, 11, 24, 12, 0, 0), absl::UTCTimeZone())};
  std::map<std::string, JobQuota> quotas_;  // not changed while threads run
  std::unique_ptr<SqliteJobStore> store_;
};

void InThreads(const std::function<void(int thread)>& body) {
  std::vector<std::thread> threads;
  for (int i = 0; i < kThreads; ++i) threads.emplace_back([&, i] { body(i); });
  for (auto& thread : threads) thread.join();
}

TEST_F(QuotaTest, JobsThatWaitNeverExceedTheirNumber) {
  quotas_["acme"].max_pending_jobs = 10;
  std::atomic<int> accepted = 0;
  InThreads([&](int thread) {
    for (int i = 0; i < 20; ++i) {
      const auto status = Create("acme", thread * 100 + i);
      EXPECT_EQ(ErrorReason(status), status.ok() ? "" : "QUOTA_EXCEEDED") << status;
      if (status.ok()) ++accepted;
    }
  });
  EXPECT_EQ(accepted, 10);
  const auto refused = Create("acme", 1000);
  EXPECT_TRUE(absl::IsResourceExhausted(refused));
  EXPECT_EQ(QuotaSubject(refused), "tenants/acme");
  EXPECT_EQ(RetryDelay(refused), std::nullopt) << "time alone mends nothing";
  EXPECT_TRUE(Create("umbrella", 1).ok()) << "another tenant's";
  ASSERT_TRUE(Acquire());
  EXPECT_TRUE(Create("acme", 1001).ok()) << "one has started";
  EXPECT_FALSE(Create("acme", 1002).ok());
}

TEST_F(QuotaTest, JobsThatRunNeverExceedTheirNumber) {
  quotas_["acme"].max_running_jobs = 3;
  for (int i = 0; i < 20; ++i) ASSERT_TRUE(Create("acme", i).ok());
  std::atomic<int> leased = 0;
  InThreads([&](int) {
    for (int i = 0; i < 5; ++i) leased += Acquire().has_value();
  });
  EXPECT_EQ(leased, 3);
  ASSERT_TRUE(Create("umbrella", 1).ok());
  const auto others = Acquire();
  ASSERT_TRUE(others) << "a tenant at its limit is no obstacle";
  EXPECT_EQ(others->job().name(), "tenants/umbrella/jobs/1");
  ASSERT_TRUE(Complete(*others).ok());
  EXPECT_FALSE(Acquire());
  clock_.Advance(kLease);
  ASSERT_TRUE(store_->ExpireLeases().ok());
  clock_.Advance(absl::Minutes(10));  // the back-off
  EXPECT_TRUE(Acquire()) << "a lease that ran out makes room";
}

TEST_F(QuotaTest, RepeatedRequestIsAnsweredAtTheLimit) {
  quotas_["acme"].max_pending_jobs = 1;
  ASSERT_TRUE(Create("acme", 1, "again").ok());
  EXPECT_TRUE(Create("acme", 2, "again").ok()) << "it is the first job";
  EXPECT_FALSE(Create("acme", 2).ok());
}

TEST_F(QuotaTest, RetriedJobNeedsRoomToo) {
  quotas_["acme"].max_pending_jobs = 1;
  ASSERT_TRUE(Create("acme", 1).ok());
  ASSERT_TRUE(store_->Cancel({"acme", "1"}, "").ok());
  ASSERT_TRUE(Create("acme", 2).ok());
  const auto retry = [&] {
    return store_->Retry({"acme", "1"}, "", [](const std::string&) { return true; }).status();
  };
  EXPECT_EQ(ErrorReason(retry()), "QUOTA_EXCEEDED");
  EXPECT_EQ(store_->Get({"acme", "1"})->state(), v1::JOB_STATE_CANCELLED) << "nothing was changed";
  ASSERT_TRUE(store_->Cancel({"acme", "2"}, "").ok());
  EXPECT_TRUE(retry().ok());
}

TEST_F(QuotaTest, SpentTimeOfWorkersComesBackTheNextDay) {
  quotas_["acme"].worker_time_per_day = absl::Minutes(10);
  for (int i = 0; i < 3; ++i) ASSERT_TRUE(Create("acme", i).ok());
  const auto first = Acquire();
  Work(*first, absl::Minutes(9));
  EXPECT_TRUE(Create("acme", 3).ok());
  const auto second = Acquire();
  ASSERT_TRUE(second) << "there is a minute left";
  Work(*first, absl::Minutes(1));
  EXPECT_FALSE(Acquire()) << "nothing is started any more";
  const auto refused = Create("acme", 4);
  EXPECT_EQ(ErrorReason(refused), "QUOTA_EXCEEDED");
  EXPECT_EQ(RetryDelay(refused), absl::Hours(12) - absl::Minutes(10)) << "until midnight";
  EXPECT_EQ(ErrorReason(Beat(*second)), "LEASE_LOST") << "it was silent for a minute";
  EXPECT_TRUE(Beat(*first).ok()) << "what runs goes on";
  ASSERT_TRUE(Complete(*first).ok());
  clock_.Advance(absl::Hours(12));
  EXPECT_TRUE(Create("acme", 4).ok());
  EXPECT_TRUE(Acquire());
}

TEST_F(QuotaTest, MonthsTimeOutlivesTheDay) {
  quotas_["acme"].worker_time_per_month = absl::Minutes(1);
  ASSERT_TRUE(Create("acme", 1).ok());
  const auto lease = Acquire();
  Work(*lease, absl::Minutes(1));
  ASSERT_TRUE(Complete(*lease).ok());
  clock_.Advance(absl::Hours(24));
  const auto refused = Create("acme", 2);
  EXPECT_EQ(RetryDelay(refused), absl::Hours(24 * 5 + 12) - absl::Minutes(1)) << "until December";
  clock_.Advance(*RetryDelay(refused));
  EXPECT_TRUE(Create("acme", 2).ok());
}

TEST_F(QuotaTest, TenantsThatHaveReachedALimitAreCountedByLimit) {
  quotas_["acme"] = {.max_pending_jobs = 2, .max_running_jobs = 1};
  quotas_["umbrella"] = {.max_pending_jobs = 1, .worker_time_per_day = absl::Minutes(1)};
  quotas_["umbrella"].worker_time_per_month = absl::Minutes(3);
  const auto counted = [&] {
    const auto now = store_->CountTenantsAtQuota();
    EXPECT_TRUE(now.ok()) << now.status();
    return std::vector<int64_t>{now->max_pending_jobs, now->max_running_jobs,
                                now->worker_time_per_day, now->worker_time_per_month};
  };
  using Counts = std::vector<int64_t>;
  EXPECT_EQ(counted(), Counts({0, 0, 0, 0}));
  ASSERT_TRUE(Create("acme", 1).ok());
  EXPECT_EQ(counted(), Counts({0, 0, 0, 0}));
  const auto first = Acquire();
  EXPECT_EQ(counted(), Counts({0, 1, 0, 0}));
  for (int i : {2, 3}) ASSERT_TRUE(Create("acme", i).ok());
  for (int i : {1, 2, 3}) ASSERT_TRUE(Create("unlimited", i).ok());
  ASSERT_TRUE(Create("umbrella", 1).ok());
  EXPECT_EQ(counted(), Counts({2, 1, 0, 0}));
  ASSERT_TRUE(Complete(*first).ok());
  while (const auto lease = Acquire()) {
    if (lease->job().name() == "tenants/umbrella/jobs/1") Work(*lease, absl::Minutes(1));
    ASSERT_TRUE(Complete(*lease).ok());
  }
  EXPECT_EQ(counted(), Counts({0, 0, 1, 0})) << "of umbrella nothing but its day is left";
  clock_.Advance(absl::Hours(24));
  EXPECT_EQ(counted(), Counts({0, 0, 0, 0}));
  quotas_["umbrella"].worker_time_per_month = absl::Minutes(1);
  EXPECT_EQ(counted(), Counts({0, 0, 0, 1})) << "a changed limit holds at once";
}

TEST_F(QuotaTest, JobsThatMayNotStartYetAreCountedApart) {
  quotas_["acme"].max_running_jobs = 2;
  for (int i = 0; i < 5; ++i) ASSERT_TRUE(Create("acme", i).ok());
  ASSERT_TRUE(Acquire());
  NewJob later;
  later.job.set_name("tenants/acme/jobs/later");
  later.job.mutable_generate()->mutable_model()->set_name("baseModels/mini");
  *later.job.mutable_schedule_time() = ToProto(clock_.Now() + absl::Hours(1));
  ASSERT_TRUE(store_->Create(later).ok());
  const auto waiting = [&] {
    const auto counts = store_->CountJobs();
    EXPECT_TRUE(counts.ok()) << counts.status();
    JobCount sum{};
    for (const JobCount& row : *counts) {
      if (row.state != v1::JOB_STATE_PENDING) continue;
      sum.count += row.count;
      sum.scheduled += row.scheduled;
      sum.over_quota += row.over_quota;
    }
    return std::vector<int64_t>{sum.count, sum.scheduled, sum.over_quota};
  };
  using Counts = std::vector<int64_t>;
  EXPECT_EQ(waiting(), Counts({5, 1, 3})) << "acme may have one more running, of four that could";
  quotas_["acme"].worker_time_per_month = absl::ZeroDuration();
  EXPECT_EQ(waiting(), Counts({5, 1, 4})) << "nothing of it may start";
  quotas_["acme"] = {};
  clock_.Advance(absl::Hours(1));
  EXPECT_EQ(waiting(), Counts({5, 0, 0}));
}

TEST_F(QuotaTest, TimeIsCountedOnceWhateverHappensBetweenHeartbeats) {
  quotas_["acme"].worker_time_per_day = absl::Seconds(30);
  ASSERT_TRUE(Create("acme", 1).ok());
  ASSERT_TRUE(Create("acme", 2).ok());
  const auto lease = Acquire();
  clock_.Advance(absl::Seconds(20));
  ASSERT_TRUE(store_->Cancel({"acme", "1"}, "").ok());  // no heartbeat: nothing is charged yet
  ASSERT_TRUE(Beat(*lease).ok());                       // 20 s
  EXPECT_TRUE(Create("acme", 3).ok());
  clock_.Advance(absl::Seconds(9));
  v1::ReleaseLeaseRequest release;
  release.set_lease_token(lease->lease_token());
  release.set_reason(v1::RELEASE_REASON_CANCELLED);
  ASSERT_TRUE(store_->Release(release).ok());  // 29 s
  EXPECT_TRUE(Create("acme", 4).ok());
  const auto next = Acquire();
  ASSERT_TRUE(next);
  clock_.Advance(absl::Seconds(1));
  ASSERT_TRUE(Complete(*next).ok());  // 30 s
  EXPECT_FALSE(Create("acme", 5).ok());
}

TEST_F(QuotaTest, ALeaseOfWhichNothingWasHeardCostsNoTime) {
  quotas_["acme"].worker_time_per_day = kLease / 2;
  ASSERT_TRUE(Create("acme", 1).ok());
  ASSERT_TRUE(Acquire());  // an answer that was lost
  clock_.Advance(kLease);
  ASSERT_EQ(*store_->ExpireLeases(), 1);
  EXPECT_EQ(store_->Get({"acme", "1"})->worker_duration().seconds(), 0);
  clock_.Advance(absl::Minutes(10));  // the back-off
  const auto next = Acquire();
  ASSERT_TRUE(next) << "nobody has worked yet";
  ASSERT_TRUE(Beat(*next).ok());
  clock_.Advance(kLease);
  ASSERT_EQ(*store_->ExpireLeases(), 1);
  EXPECT_GT(store_->Get({"acme", "1"})->worker_duration().seconds(), 0);
  EXPECT_EQ(ErrorReason(Create("acme", 2)), "QUOTA_EXCEEDED");
}

TEST_F(QuotaTest, LeasesOfWhichNothingWasHeardCostTimeOnceTheyCountAsAttempts) {
  quotas_["acme"].worker_time_per_day = kLease / 2;
  ASSERT_TRUE(Create("acme", 1).ok());
  int free_leases = 0;
  while (Acquire()) {  // of a job that kills its workers at once
    clock_.Advance(kLease);
    ASSERT_EQ(*store_->ExpireLeases(), 1);
    clock_.Advance(absl::Minutes(10));
    ASSERT_LT(++free_leases, 100);
  }
  EXPECT_EQ(ErrorReason(Create("acme", 2)), "QUOTA_EXCEEDED");
}

}  // namespace
}  // namespace likeness::server

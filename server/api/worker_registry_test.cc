// Which workers there are, by what was heard of them.
#include "server/api/worker_registry.h"

#include "common/clock.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "server/jobs/proto_time.h"
#include "server/jobs/sqlite/sqlite_job_store.h"
#include "tests/support/test_server.h"

namespace likeness::server {
namespace {

constexpr absl::Duration kLease = absl::Seconds(20);

class SeenWorkersTest : public ::testing::Test {
 protected:
  static std::unique_ptr<SqliteJobStore> Open(const std::string& folder, const Clock& clock) {
    SqliteJobStoreOptions options;
    options.path = folder + "/jobs.sqlite";
    return *SqliteJobStore::Open(options, clock);
  }

  static v1::AcquireLeaseRequest Poll() {
    v1::AcquireLeaseRequest poll;
    poll.set_worker("bob");
    poll.set_instance("one");
    poll.set_device("cuda:0");
    poll.mutable_wait()->set_seconds(30);
    return poll;
  }

  static std::string NoDevice() { return ""; }

  v1::Worker Only(absl::Time at) {
    const auto workers = registry_.List(at).value();
    EXPECT_EQ(workers.size(), 1u);
    return workers.empty() ? v1::Worker() : workers[0];
  }

  likeness::testing::TempFolder folder_;
  FakeClock clock_;
  const std::unique_ptr<SqliteJobStore> jobs_ = Open(folder_.path(), clock_);
  WorkerRegistry registry_{*jobs_, kLease};
  const absl::Time start_ = clock_.Now();
};

TEST_F(SeenWorkersTest, AHeartbeatCountsAsSeen) {
  registry_.Asked(Poll(), start_);
  const absl::Time later = start_ + absl::Hours(1);
  EXPECT_TRUE(registry_.List(later).value().empty());
  registry_.Heard("bob", &NoDevice, later);
  EXPECT_EQ(FromProto(Only(later).last_poll_time()), later);
  EXPECT_EQ(Only(later).device(), "cuda:0") << "what it said when it asked is still known";
}

TEST_F(SeenWorkersTest, AWorkerThatTrainsForLongGoesOnToOfferItsBaseModels) {
  auto poll = Poll();
  v1::BaseModel& mini = *poll.add_base_models();
  mini.set_name("baseModels/mini");
  mini.set_digest("d");
  mini.add_measures(v1::MEASURE_DINO);
  ASSERT_TRUE(jobs_->OfferBaseModels({mini}).ok());
  registry_.Asked(poll, start_);
  const auto offered = [&] {
    const auto models = registry_.BaseModels(clock_.Now() - absl::Minutes(5)).value();
    EXPECT_EQ(models.size(), 1u);
    EXPECT_EQ(models.at(0).measures_size(), 1);
    return FromProto(models.at(0).last_offered_time());
  };
  EXPECT_EQ(offered(), start_);
  clock_.Advance(absl::Seconds(59));
  registry_.Heard("bob", &NoDevice, clock_.Now());
  EXPECT_EQ(offered(), start_) << "about once a minute is enough";
  clock_.Advance(absl::Hours(1));
  registry_.Heard("bob", &NoDevice, clock_.Now());
  EXPECT_EQ(offered(), clock_.Now());
}

TEST_F(SeenWorkersTest, AfterARestartTheNextHeartbeatTellsOfTheWorker) {
  registry_.Heard(
      "bob", [] { return std::string("cuda:1"); }, start_);
  const v1::Worker worker = Only(start_);
  EXPECT_EQ(worker.name(), "workers/bob");
  EXPECT_EQ(worker.device(), "cuda:1");
  EXPECT_EQ(FromProto(worker.last_poll_time()), start_);
  registry_.Asked(Poll(), start_);
  EXPECT_EQ(Only(start_).device(), "cuda:0");
}

TEST_F(SeenWorkersTest, AWorkerThatIsGoneIsNotIdle) {
  registry_.Asked(Poll(), start_);
  const absl::Time due = start_ + absl::Seconds(30) + kLease;
  EXPECT_EQ(Only(due).state(), v1::WORKER_STATE_IDLE);
  EXPECT_EQ(Only(due + absl::Seconds(1)).state(), v1::WORKER_STATE_UNSPECIFIED);
  registry_.Heard("bob", &NoDevice, due);
  EXPECT_EQ(Only(due + kLease).state(), v1::WORKER_STATE_IDLE);
  EXPECT_EQ(Only(due + kLease + absl::Seconds(1)).state(), v1::WORKER_STATE_UNSPECIFIED);
  registry_.Asked(Poll(), due + absl::Minutes(1));
  EXPECT_EQ(Only(due + absl::Minutes(1)).state(), v1::WORKER_STATE_IDLE);
}

TEST_F(SeenWorkersTest, RequirementsAreMetByAWorkerThatAskedOfLate) {
  v1::Requirements gpu;
  (*gpu.mutable_labels())["gpu"] = "yes";
  v1::Requirements memory;
  memory.set_min_device_memory_bytes(100);
  EXPECT_TRUE(registry_.MayMeet({}, start_)) << "nothing is required";
  EXPECT_FALSE(registry_.MayMeet(gpu, start_));
  auto poll = Poll();
  (*poll.mutable_labels())["gpu"] = "yes";
  poll.set_device_memory_bytes(99);
  registry_.Asked(poll, start_);
  EXPECT_TRUE(registry_.MayMeet(gpu, start_));
  EXPECT_FALSE(registry_.MayMeet(memory, start_));
  EXPECT_FALSE(registry_.MayMeet(gpu, start_ + absl::Minutes(11)));
}

TEST_F(SeenWorkersTest, WhatNetworksThereAreIsKnownOfWorkersThatAskedAlone) {
  const auto may = [&](const std::string& base, absl::Time since) {
    return registry_.MayHaveNetwork(base, "face_detection", since);
  };
  EXPECT_TRUE(may("baseModels/mini", start_)) << "of no worker is it known";
  auto poll = Poll();
  poll.add_methods("generate");
  poll.add_base_models()->set_name("baseModels/mini");
  registry_.Asked(poll, start_);
  EXPECT_FALSE(may("baseModels/mini", start_));
  EXPECT_FALSE(may("", start_));
  EXPECT_TRUE(may("baseModels/other", start_)) << "who offers it is not known";
  EXPECT_TRUE(may("baseModels/mini", start_ + absl::Minutes(1))) << "it may be gone";
  poll.set_worker("carol");
  poll.add_methods("face_detection");
  registry_.Asked(poll, start_);
  EXPECT_TRUE(may("baseModels/mini", start_));
  EXPECT_FALSE(registry_.MayHaveNetwork("baseModels/mini", "safety_check", start_));
  registry_.Heard("dave", &NoDevice, start_);  // runs a job since before the server started
  EXPECT_TRUE(registry_.MayHaveNetwork("baseModels/mini", "safety_check", start_));
}

}  // namespace
}  // namespace likeness::server

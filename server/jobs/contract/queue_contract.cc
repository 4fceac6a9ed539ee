// Which job is leased, and to whom.
#include <set>
#include <thread>

#include "server/jobs/contract/job_store_contract.h"

namespace likeness::server {
namespace {

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
  offer.mutable_base_models(0)->set_name("baseModels/other");
  EXPECT_FALSE(store().Acquire(offer)->has_value());
  offer = Offer("trainer");
  offer.clear_methods();
  EXPECT_FALSE(store().Acquire(offer)->has_value());
}

TEST_P(JobStoreTest, NewJobDoesNotStandBehindItself) {
  clock_.Advance(absl::Nanoseconds(700));  // finer than what the store keeps
  EXPECT_EQ(store().Create(PictureJob("a"))->queue_position(), 0);
  clock_.Advance(absl::Nanoseconds(700));
  EXPECT_EQ(store().Create(PictureJob("b"))->queue_position(), 1);
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

TEST_P(JobStoreTest, JobWhoseModelIsGoneIsLeasedAllTheSame) {
  NewJob drawing = PictureJob("d");
  drawing.job.mutable_generate()->mutable_model()->set_name("tenants/default/models/gone");
  ASSERT_TRUE(store().Create(drawing).ok());
  const v1::Lease lease = AcquireAs("w");
  ASSERT_EQ(lease.models_size(), 1);
  EXPECT_EQ(lease.models(0).files_size(), 0) << "the worker says what is wrong";
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

// Whose turn it is to look for a job, against a queue of jobs that is played here.
#include "server/api/lease_queue.h"

#include <map>
#include <random>
#include <set>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"

namespace likeness::server {
namespace {

// Workers that wait, and jobs that wait, each of which one kind of worker can run. A worker that
// was woken looks when the test says so.
class Play {
 public:
  explicit Play(int max_looks = 16) : queue_(max_looks) {}

  int Join(const std::string& kind) {
    const int id = next_++;
    Worker& worker = workers_[id];
    worker.kind = kind;
    worker.turn = queue_.Join(kind, [this, id] { woken_.insert(id); });
    Look(id);
    return id;
  }

  void AddJob(const std::string& kind) {
    ++jobs_[kind];
    queue_.Publish();
  }

  void Leave(int id) {
    woken_.erase(id);
    workers_.erase(id);
  }

  // One of those that were woken looks. False: there are none.
  bool Step() {
    if (woken_.empty()) return false;
    auto next = woken_.begin();
    std::advance(next, random_() % woken_.size());
    const int id = *next;
    woken_.erase(next);
    Look(id);
    return true;
  }
  void Settle() {
    while (Step()) {
    }
  }

  // Whether a job waits beside a worker that could run it and will not look.
  bool Stuck() const {
    for (const auto& [id, worker] : workers_) {
      const auto jobs = jobs_.find(worker.kind);
      if (jobs != jobs_.end() && jobs->second > 0) return true;
    }
    return false;
  }

  LeaseQueue& queue() { return queue_; }
  const std::set<int>& woken() const { return woken_; }
  size_t waiting() const { return workers_.size(); }
  std::vector<int> ids() const {
    std::vector<int> all;
    for (const auto& [id, worker] : workers_) all.push_back(id);
    return all;
  }
  void HideJob(const std::string& kind, int count) { jobs_[kind] += count; }
  std::minstd_rand& random() { return random_; }

 private:
  struct Worker {
    std::string kind;
    std::unique_ptr<LeaseQueue::Turn> turn;
  };

  void Look(int id) {
    Worker& worker = workers_.at(id);
    worker.turn->Begin();
    int& jobs = jobs_[worker.kind];
    const bool found = jobs > 0;
    if (found) --jobs;
    worker.turn->End(found);
    if (found) Leave(id);
  }

  LeaseQueue queue_;
  std::minstd_rand random_{7};
  int next_ = 0;
  std::set<int> woken_;
  std::map<std::string, int> jobs_;
  std::map<int, Worker> workers_;
};

TEST(LeaseQueueTest, OneJobWakesOneOfManyWorkers) {
  Play play;
  for (int i = 0; i < 10'000; ++i) play.Join("gpu");
  play.AddJob("gpu");
  EXPECT_EQ(play.woken().size(), 1u);
  play.Settle();
  EXPECT_EQ(play.waiting(), 9'999u);
  EXPECT_LE(play.queue().looks(), 2)
      << "the one that found it, and one to see whether there are more";
}

TEST(LeaseQueueTest, AsManyJobsWakeAsManyWorkers) {
  Play play;
  for (int i = 0; i < 100; ++i) play.Join("gpu");
  for (int i = 0; i < 10; ++i) play.AddJob("gpu");
  EXPECT_EQ(play.woken().size(), 10u) << "each at once, not one after the other";
  play.Settle();
  EXPECT_EQ(play.waiting(), 90u);
}

TEST(LeaseQueueTest, JobThatTheFirstWorkerCannotRunGoesOnToAnother) {
  Play play;
  for (int i = 0; i < 50; ++i) play.Join("cpu");
  play.Join("gpu");
  play.AddJob("gpu");
  play.Settle();
  EXPECT_EQ(play.waiting(), 50u);
  EXPECT_LE(play.queue().looks(), 3) << "one look answers for all that offer the same";
}

TEST(LeaseQueueTest, WorkerThatIsGoneBeforeItsTurnPassesItOn) {
  Play play;
  for (int i = 0; i < 3; ++i) play.Join("gpu");
  play.AddJob("gpu");
  ASSERT_EQ(play.woken().size(), 1u);
  play.Leave(*play.woken().begin());
  play.Settle();
  EXPECT_FALSE(play.Stuck());
  EXPECT_EQ(play.waiting(), 1u);
}

TEST(LeaseQueueTest, JobsThatBecomeReadyByTimeAreAllFound) {
  Play play;
  for (int i = 0; i < 20; ++i) play.Join("gpu");
  play.HideJob("gpu", 5);  // nobody was told
  play.queue().PublishByTime();
  play.Settle();
  EXPECT_EQ(play.waiting(), 15u);
}

TEST(LeaseQueueTest, ManyDifferentOffersAreAskedAFewAtATimeAndAllInTheEnd) {
  Play play(/*max_looks=*/4);
  for (int i = 0; i < 1'000; ++i) play.Join(absl::StrCat("label-", i));
  play.AddJob("label-999");
  EXPECT_EQ(play.woken().size(), 4u);
  play.Settle();
  EXPECT_EQ(play.waiting(), 999u);
  const auto looks = play.queue().looks();
  play.queue().PublishByTime();
  play.Settle();
  EXPECT_EQ(play.queue().looks() - looks, 64);
}

TEST(LeaseQueueTest, WhateverTheOrderNoJobWaitsBesideAnIdleWorker) {
  Play play(/*max_looks=*/3);
  const char* kinds[] = {"a", "b", "c", "d", "e"};
  for (int round = 0; round < 20'000; ++round) {
    const char* kind = kinds[play.random()() % 5];
    switch (play.random()() % 5) {
      case 0:
        play.Join(kind);
        break;
      case 1:
        play.AddJob(kind);
        break;
      case 2: {
        const auto ids = play.ids();
        if (!ids.empty()) play.Leave(ids[play.random()() % ids.size()]);
        break;
      }
      default:
        play.Step();
    }
    if (round % 100 == 0) {
      play.Settle();
      ASSERT_FALSE(play.Stuck()) << "in round " << round;
    }
  }
}

}  // namespace
}  // namespace likeness::server

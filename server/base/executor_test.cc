#include "server/base/executor.h"

#include <atomic>
#include <future>
#include <latch>
#include <memory>
#include <string>
#include <thread>

#include "gtest/gtest.h"

namespace likeness::server {
namespace {

TEST(ExecutorTest, TasksThatWaitForEachOtherAllRunAtOnce) {
  constexpr int kThreads = 8;
  Executor executor(kThreads);
  for (int round = 0; round < 50; ++round) {
    auto all = std::make_shared<std::latch>(kThreads + 1);
    for (int i = 0; i < kThreads; ++i) executor.Run("", [all] { all->arrive_and_wait(); });
    all->arrive_and_wait();
  }
}

TEST(ExecutorTest, StopFinishesWhatIsQueuedAndDropsWhatIsDelayed) {
  std::atomic<int> ran = 0;
  Executor executor(2);
  executor.RunAfter(absl::Hours(1), [&] { ran += 1000; });
  for (int i = 0; i < 100; ++i) {
    executor.Run("", [&] { ++ran; });
  }
  executor.Stop();
  EXPECT_EQ(ran, 100);
}

TEST(ExecutorTest, DelayedTasksRunInTheOrderOfTheirTimes) {
  Executor executor(1);
  std::string order;
  std::promise<void> end;
  executor.RunAfter(absl::Milliseconds(30), [&] { end.set_value(); });
  executor.RunAfter(absl::Milliseconds(20), [&] { order += "b"; });
  executor.RunAfter(absl::Milliseconds(10), [&] { order += "a"; });
  end.get_future().wait();
  EXPECT_EQ(order, "ab");
}

TEST(ExecutorTest, TooManyQueuedTasksAreRefused) {
  Executor executor({.threads = 1, .max_queued = 2});
  std::promise<void> begun;
  std::promise<void> release;
  executor.Run("", [&] {
    begun.set_value();
    release.get_future().wait();
  });
  begun.get_future().wait();
  EXPECT_TRUE(executor.TryRun("", [] {}));
  EXPECT_TRUE(executor.TryRun("", [] {}));
  EXPECT_FALSE(executor.TryRun("", [] {}));
  release.set_value();
}

// Holds the threads that it is run on until it is let go.
class Hold {
 public:
  std::function<void()> Task() {
    return [this] {
      ++held_;
      gate_.wait();
    };
  }
  void AwaitHeld(int count) const {
    while (held_ < count) std::this_thread::yield();
  }
  int held() const { return held_; }
  void LetGo() { release_.set_value(); }

 private:
  std::promise<void> release_;
  const std::shared_future<void> gate_{release_.get_future()};
  std::atomic<int> held_ = 0;
};

TEST(ExecutorTest, OneLaneHoldsHalfOfTheThreadsAndLeavesTheOthersTheRest) {
  Hold hold;
  std::promise<void> served;
  {
    Executor executor({.threads = 4, .fair = true});
    for (int i = 0; i < 100; ++i) executor.Run("greedy", hold.Task());
    hold.AwaitHeld(2);
    executor.Run("other", [&] { served.set_value(); });
    served.get_future().wait();
    EXPECT_EQ(hold.held(), 2);
    hold.LetGo();
  }
  EXPECT_EQ(hold.held(), 100);
}

TEST(ExecutorTest, LanesTakeTurns) {
  Hold hold;
  std::string order;
  {
    Executor executor({.threads = 1, .fair = true});
    executor.Run("first", hold.Task());
    hold.AwaitHeld(1);
    for (int i = 0; i < 3; ++i) executor.Run("greedy", [&] { order += "g"; });
    executor.Run("other", [&] { order += "o"; });
    hold.LetGo();
  }
  EXPECT_EQ(order, "gogg");
}

TEST(ExecutorTest, OneLaneFillsHalfOfTheQueueAndLeavesTheOthersTheRest) {
  Hold hold;
  Executor executor({.threads = 1, .max_queued = 4, .fair = true});
  executor.Run("greedy", hold.Task());
  hold.AwaitHeld(1);
  EXPECT_TRUE(executor.TryRun("greedy", [] {}));
  EXPECT_TRUE(executor.TryRun("greedy", [] {}));
  EXPECT_FALSE(executor.TryRun("greedy", [] {}));
  EXPECT_TRUE(executor.TryRun("other", [] {}));
  hold.LetGo();
}

}  // namespace
}  // namespace likeness::server

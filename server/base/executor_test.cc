#include "server/base/executor.h"

#include <atomic>
#include <future>
#include <latch>
#include <memory>
#include <string>

#include "gtest/gtest.h"

namespace likeness::server {
namespace {

TEST(ExecutorTest, TasksThatWaitForEachOtherAllRunAtOnce) {
  constexpr int kThreads = 8;
  Executor executor(kThreads);
  for (int round = 0; round < 50; ++round) {
    auto all = std::make_shared<std::latch>(kThreads + 1);
    for (int i = 0; i < kThreads; ++i) executor.Run([all] { all->arrive_and_wait(); });
    all->arrive_and_wait();
  }
}

TEST(ExecutorTest, StopFinishesWhatIsQueuedAndDropsWhatIsDelayed) {
  std::atomic<int> ran = 0;
  Executor executor(2);
  executor.RunAfter(absl::Hours(1), [&] { ran += 1000; });
  for (int i = 0; i < 100; ++i) {
    executor.Run([&] { ++ran; });
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
  Executor executor(1, /*max_queued=*/2);
  std::promise<void> begun;
  std::promise<void> release;
  executor.Run([&] {
    begun.set_value();
    release.get_future().wait();
  });
  begun.get_future().wait();
  EXPECT_TRUE(executor.TryRun([] {}));
  EXPECT_TRUE(executor.TryRun([] {}));
  EXPECT_FALSE(executor.TryRun([] {}));
  release.set_value();
}

}  // namespace
}  // namespace likeness::server

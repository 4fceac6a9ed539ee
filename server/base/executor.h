// Threads for work that blocks (store, files), so that no gRPC thread ever waits.
#pragma once

#include <chrono>
#include <condition_variable>
#include <deque>
#include <functional>
#include <map>
#include <mutex>
#include <thread>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/time/time.h"

namespace likeness::server {

// Thread-safe. Tasks begin in the order in which they were given, and run on any thread.
class Executor {
 public:
  // Many threads wait for the same commit, so there are far more of them than cores.
  explicit Executor(int threads, size_t max_queued = 10'000);
  ~Executor();

  // Finishes what is queued, and drops what is delayed; nothing runs after this.
  void Stop();

  void Run(std::function<void()> task);
  // False, and nothing happens, when too much is queued already.
  bool TryRun(std::function<void()> task);
  void RunAfter(absl::Duration delay, std::function<void()> task);

 private:
  using SteadyClock = std::chrono::steady_clock;

  void Loop();
  // Wakes a thread for what is queued, unless one is waking up already: it wakes the next when it
  // has taken its task. A wake-up costs more than most tasks.
  void WakeOne(std::unique_lock<std::mutex> lock);
  void MoveWhatIsDue();

  const size_t max_queued_;
  std::mutex mutex_;
  std::deque<std::function<void()>> queue_ ABSL_GUARDED_BY(mutex_);
  std::multimap<SteadyClock::time_point, std::function<void()>> delayed_ ABSL_GUARDED_BY(mutex_);
  std::condition_variable work_;                 // something was queued
  std::condition_variable delayed_work_;         // something is due earlier than before
  int idle_ ABSL_GUARDED_BY(mutex_) = 0;         // threads that wait for work
  bool waking_ ABSL_GUARDED_BY(mutex_) = false;  // one of them was told to wake up
  bool stopping_ ABSL_GUARDED_BY(mutex_) = false;
  std::vector<std::thread> threads_;
};

}  // namespace likeness::server

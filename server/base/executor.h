// Threads for work that blocks (store, files), so that no gRPC thread ever waits. Whoever asks for
// much gets no more than a share: tasks are kept in a lane for each caller, the lanes take turns,
// and one lane has never more than half of the threads while there are others to be kept.
#pragma once

#include <chrono>
#include <condition_variable>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/container/flat_hash_map.h"
#include "absl/time/time.h"

namespace likeness::server {

struct ExecutorOptions {
  int threads = 1;  // many wait for the same commit, so there are far more of them than cores
  size_t max_queued = 10'000;
  bool fair = false;  // a lane may hold half of the threads and of the queue, and no more
};

// Thread-safe. The tasks of a lane begin in the order in which they were given, and run on any
// thread.
class Executor {
 public:
  explicit Executor(const ExecutorOptions& options);
  explicit Executor(int threads) : Executor(ExecutorOptions{.threads = threads}) {}
  ~Executor();

  // Finishes what is queued, and drops what is delayed; nothing runs after this.
  void Stop();

  void Run(const std::string& lane, std::function<void()> task);
  // False, and nothing happens, when too much is queued already, in all or in this lane.
  bool TryRun(const std::string& lane, std::function<void()> task);
  // `task` runs on the thread that keeps time: it must not block.
  void RunAfter(absl::Duration delay, std::function<void()> task);

 private:
  using SteadyClock = std::chrono::steady_clock;

  struct Lane {
    std::deque<std::function<void()>> queue;
    int running = 0;
    bool in_turn = false;  // stands in turns_
  };

  void Loop();
  void Add(const std::string& name, std::function<void()> task)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // Lets the lane stand in turn if it has a task and may have another thread.
  void Queue(Lane& lane) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void EndTask(Lane& lane) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // Wakes a thread for what is queued, unless one is waking up already: it wakes the next when it
  // has taken its task. A wake-up costs more than most tasks.
  void WakeOne(std::unique_lock<std::mutex> lock);
  void KeepTime();

  const size_t max_queued_;
  const size_t max_queued_of_lane_;
  const int max_running_of_lane_;
  std::mutex mutex_;
  size_t queued_ ABSL_GUARDED_BY(mutex_) = 0;
  absl::flat_hash_map<std::string, std::unique_ptr<Lane>> lanes_ ABSL_GUARDED_BY(mutex_);
  std::deque<Lane*> turns_ ABSL_GUARDED_BY(mutex_);
  std::multimap<SteadyClock::time_point, std::function<void()>> delayed_ ABSL_GUARDED_BY(mutex_);
  std::condition_variable work_;                 // something was queued
  std::condition_variable delayed_work_;         // something is due earlier than before
  int idle_ ABSL_GUARDED_BY(mutex_) = 0;         // threads that wait for work
  bool waking_ ABSL_GUARDED_BY(mutex_) = false;  // one of them was told to wake up
  bool stopping_ ABSL_GUARDED_BY(mutex_) = false;
  std::vector<std::thread> threads_;
};

}  // namespace likeness::server

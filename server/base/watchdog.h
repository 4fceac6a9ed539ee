// Notices that something which should happen again and again does not: a disk that hangs holds up
// whoever waits for it, and so cannot be noticed by them.
#pragma once

#include <chrono>
#include <condition_variable>
#include <functional>
#include <mutex>
#include <thread>

#include "absl/base/thread_annotations.h"
#include "absl/time/time.h"

namespace likeness::server {

// Thread-safe.
class Watchdog {
 public:
  // On a thread of its own and by a steady clock, calls `tell(true)` when there was no Beat for
  // `patience`, and `tell(false)` after the next one.
  Watchdog(absl::Duration patience, std::function<void(bool hangs)> tell);
  ~Watchdog();

  void Beat();

 private:
  using Clock = std::chrono::steady_clock;
  void Loop();

  const std::chrono::nanoseconds patience_;
  const std::function<void(bool)> tell_;
  std::mutex mutex_;
  std::condition_variable changed_;
  Clock::time_point last_beat_ ABSL_GUARDED_BY(mutex_) = Clock::now();
  bool stopping_ ABSL_GUARDED_BY(mutex_) = false;
  std::thread thread_;
};

}  // namespace likeness::server

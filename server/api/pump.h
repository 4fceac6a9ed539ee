// Runs one piece of work again and again on the executor, one turn at a time: whenever it was woken
// since its last turn began. This is how a reactor waits without holding a thread.
#pragma once

#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/time/time.h"
#include "server/base/executor.h"

namespace likeness::server {

// Thread-safe.
class Pump : public std::enable_shared_from_this<Pump> {
 public:
  // `lane` is whose time on the executor it takes.
  static std::shared_ptr<Pump> Create(Executor& executor, std::string lane,
                                      std::function<void()> turn) {
    return std::shared_ptr<Pump>(new Pump(executor, std::move(lane), std::move(turn)));
  }

  void Wake();
  // At most one delayed wake-up is pending: the earliest that was asked for wins.
  void WakeAfter(absl::Duration delay);
  // No turn begins after this. To be called from a turn, which may then destroy what the turn uses.
  void Stop();

 private:
  Pump(Executor& executor, std::string lane, std::function<void()> turn)
      : executor_(executor), lane_(std::move(lane)), turn_(std::move(turn)) {}
  void RunTurns();

  Executor& executor_;
  const std::string lane_;
  const std::function<void()> turn_;
  std::mutex mutex_;
  bool running_ ABSL_GUARDED_BY(mutex_) = false;  // or queued on the executor
  bool woken_ ABSL_GUARDED_BY(mutex_) = false;
  bool stopped_ ABSL_GUARDED_BY(mutex_) = false;
  absl::Time next_wake_ ABSL_GUARDED_BY(mutex_) = absl::InfiniteFuture();
};

}  // namespace likeness::server

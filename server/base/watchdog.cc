#include "server/base/watchdog.h"

#include <utility>

namespace likeness::server {

Watchdog::Watchdog(absl::Duration patience, std::function<void(bool)> tell)
    : patience_(absl::ToChronoNanoseconds(patience)),
      tell_(std::move(tell)),
      thread_([this] { Loop(); }) {}

Watchdog::~Watchdog() {
  {
    std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  changed_.notify_one();
  thread_.join();
}

void Watchdog::Beat() {
  {
    std::lock_guard lock(mutex_);
    last_beat_ = Clock::now();
  }
  changed_.notify_one();
}

void Watchdog::Loop() {
  bool told = false;
  std::unique_lock lock(mutex_);
  while (!stopping_) {
    const Clock::time_point due = last_beat_ + patience_;
    const bool hangs = Clock::now() >= due;
    if (hangs != told) {
      told = hangs;
      lock.unlock();
      tell_(hangs);
      lock.lock();
    } else if (hangs) {
      changed_.wait(lock);
    } else {
      changed_.wait_until(lock, due);
    }
  }
}

}  // namespace likeness::server

// Time comes in through a Clock, so that tests can move it.
#pragma once

#include <algorithm>
#include <chrono>
#include <mutex>

#include "absl/base/thread_annotations.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"

namespace likeness {

// For waits and for how long something took: goes on evenly whatever is done to the system's clock,
// and says nothing about the date.
inline absl::Time SteadyNow() {
  return absl::UnixEpoch() + absl::FromChrono(std::chrono::steady_clock::now().time_since_epoch());
}

// Thread-safe.
class Clock {
 public:
  virtual ~Clock() = default;
  virtual absl::Time Now() const = 0;
};

// The system's time, except that it never goes back: where the system's clock is set back, this
// goes on at its own pace until that has caught up. What was to happen after a while (a lease that
// runs out, a back-off that ends) then happens after that while, and not hours later.
class SystemClock : public Clock {
 public:
  absl::Time Now() const override {
    std::lock_guard lock(mutex_);
    const absl::Duration elapsed = Elapsed();
    now_ = std::max(Wall(), now_ + (elapsed - elapsed_));
    elapsed_ = elapsed;
    return now_;
  }
  // Goes on from `time` if that is later: what was written down before a restart.
  void GoOnFrom(absl::Time time) {
    std::lock_guard lock(mutex_);
    now_ = std::max(now_, time);
    elapsed_ = Elapsed();
  }

 protected:
  virtual absl::Time Wall() const { return absl::Now(); }
  virtual absl::Duration Elapsed() const { return SteadyNow() - absl::UnixEpoch(); }

 private:
  mutable std::mutex mutex_;
  mutable absl::Time now_ ABSL_GUARDED_BY(mutex_) = absl::InfinitePast();
  mutable absl::Duration elapsed_ ABSL_GUARDED_BY(mutex_);  // when now_ was read
};

// Stands still until it is moved.
class FakeClock : public Clock {
 public:
  explicit FakeClock(absl::Time start = absl::FromUnixSeconds(1'800'000'000)) : now_(start) {}
  absl::Time Now() const override {
    std::lock_guard lock(mutex_);
    return now_;
  }
  void Advance(absl::Duration by) {
    std::lock_guard lock(mutex_);
    now_ += by;
  }

 private:
  mutable std::mutex mutex_;
  absl::Time now_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace likeness

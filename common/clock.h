// Time comes in through a Clock, so that tests can move it.
#pragma once

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
  // The date, for people and for what they fix by it: schedules, the expiry of credentials,
  // retention. It is set from outside, forwards and back, and is followed either way.
  virtual absl::Time Now() const = 0;
  // Goes on evenly; see SteadyNow. For all that lasts: leases, back-offs, timeouts.
  virtual absl::Time Steady() const = 0;
};

class SystemClock : public Clock {
 public:
  absl::Time Now() const override { return absl::Now(); }
  absl::Time Steady() const override { return SteadyNow(); }
};

// Stands still until it is moved.
class FakeClock : public Clock {
 public:
  explicit FakeClock(absl::Time start = absl::FromUnixSeconds(1'800'000'000))
      : now_(start), steady_(start) {}
  absl::Time Now() const override {
    std::lock_guard lock(mutex_);
    return now_;
  }
  absl::Time Steady() const override {
    std::lock_guard lock(mutex_);
    return steady_;
  }
  void Advance(absl::Duration by) {
    std::lock_guard lock(mutex_);
    now_ += by;
    steady_ += by;
  }
  // As if somebody had set the date.
  void Set(absl::Time now) {
    std::lock_guard lock(mutex_);
    now_ = now;
  }

 private:
  mutable std::mutex mutex_;
  absl::Time now_ ABSL_GUARDED_BY(mutex_);
  absl::Time steady_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace likeness

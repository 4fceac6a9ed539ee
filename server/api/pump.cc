#include "server/api/pump.h"

#include "common/clock.h"

namespace likeness::server {

void Pump::Wake() {
  std::lock_guard lock(mutex_);
  if (stopped_) return;
  woken_ = true;
  if (running_) return;
  running_ = true;
  executor_.Run(lane_, [self = shared_from_this()] { self->RunTurns(); });
}

void Pump::WakeAfter(absl::Duration delay) {
  const absl::Time due = SteadyNow() + delay;
  {
    std::lock_guard lock(mutex_);
    if (stopped_ || next_wake_ <= due) return;
    next_wake_ = due;
  }
  executor_.RunAfter(delay, [weak = weak_from_this(), due] {
    auto self = weak.lock();
    if (!self) return;
    {
      std::lock_guard lock(self->mutex_);
      if (self->next_wake_ == due) self->next_wake_ = absl::InfiniteFuture();
    }
    self->Wake();
  });
}

void Pump::Stop() {
  std::lock_guard lock(mutex_);
  stopped_ = true;
}

void Pump::RunTurns() {
  for (;;) {
    {
      std::lock_guard lock(mutex_);
      if (stopped_ || !woken_) {
        running_ = false;
        return;
      }
      woken_ = false;
    }
    turn_();
  }
}

}  // namespace likeness::server

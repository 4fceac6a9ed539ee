#include "server/base/executor.h"

#include <utility>

namespace likeness::server {

Executor::Executor(int threads, size_t max_queued) : max_queued_(max_queued) {
  for (int i = 0; i < threads; ++i) threads_.emplace_back([this] { Loop(); });
  threads_.emplace_back([this] { MoveWhatIsDue(); });
}

Executor::~Executor() { Stop(); }

void Executor::Stop() {
  {
    std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  work_.notify_all();
  delayed_work_.notify_all();
  for (std::thread& thread : threads_) thread.join();
  threads_.clear();
}

void Executor::Run(std::function<void()> task) {
  std::unique_lock lock(mutex_);
  queue_.push_back(std::move(task));
  WakeOne(std::move(lock));
}

bool Executor::TryRun(std::function<void()> task) {
  std::unique_lock lock(mutex_);
  if (queue_.size() >= max_queued_) return false;
  queue_.push_back(std::move(task));
  WakeOne(std::move(lock));
  return true;
}

void Executor::RunAfter(absl::Duration delay, std::function<void()> task) {
  std::lock_guard lock(mutex_);
  auto added =
      delayed_.emplace(SteadyClock::now() + absl::ToChronoNanoseconds(delay), std::move(task));
  if (added == delayed_.begin()) delayed_work_.notify_one();
}

void Executor::WakeOne(std::unique_lock<std::mutex> lock) {
  if (queue_.empty() || waking_ || idle_ == 0) return;
  waking_ = true;
  lock.unlock();  // or who wakes would have to wait at once
  work_.notify_one();
}

void Executor::Loop() {
  for (;;) {
    std::unique_lock lock(mutex_);
    while (queue_.empty() && !stopping_) {
      ++idle_;
      work_.wait(lock);
      --idle_;
      waking_ = false;
    }
    if (queue_.empty()) return;
    const auto task = std::move(queue_.front());
    queue_.pop_front();
    WakeOne(std::move(lock));
    task();
  }
}

// The thread that moves delayed tasks into the queue.
void Executor::MoveWhatIsDue() {
  for (;;) {
    std::unique_lock lock(mutex_);
    if (stopping_) return;
    if (delayed_.empty()) {
      delayed_work_.wait(lock);
    } else if (const auto next = delayed_.begin()->first; next > SteadyClock::now()) {
      delayed_work_.wait_until(lock, next);
    } else {
      queue_.push_back(std::move(delayed_.begin()->second));
      delayed_.erase(delayed_.begin());
      WakeOne(std::move(lock));
    }
  }
}

}  // namespace likeness::server

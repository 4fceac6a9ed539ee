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
  std::lock_guard lock(mutex_);
  queue_.push_back(std::move(task));
  work_.notify_one();
}

bool Executor::TryRun(std::function<void()> task) {
  std::lock_guard lock(mutex_);
  if (queue_.size() >= max_queued_) return false;
  queue_.push_back(std::move(task));
  work_.notify_one();
  return true;
}

void Executor::RunAfter(absl::Duration delay, std::function<void()> task) {
  std::lock_guard lock(mutex_);
  auto added =
      delayed_.emplace(SteadyClock::now() + absl::ToChronoNanoseconds(delay), std::move(task));
  if (added == delayed_.begin()) delayed_work_.notify_one();
}

void Executor::Loop() {
  for (;;) {
    std::function<void()> task;
    {
      std::unique_lock lock(mutex_);
      work_.wait(lock, [this] { return !queue_.empty() || stopping_; });
      if (queue_.empty()) return;
      task = std::move(queue_.front());
      queue_.pop_front();
    }
    task();
  }
}

// The thread that moves delayed tasks into the queue.
void Executor::MoveWhatIsDue() {
  std::unique_lock lock(mutex_);
  while (!stopping_) {
    const auto now = SteadyClock::now();
    for (auto due = delayed_.begin(); due != delayed_.end() && due->first <= now;
         due = delayed_.erase(due)) {
      queue_.push_back(std::move(due->second));
      work_.notify_one();
    }
    if (delayed_.empty()) {
      delayed_work_.wait(lock);
    } else {
      const auto next = delayed_.begin()->first;  // a copy: the entry may go while we wait
      delayed_work_.wait_until(lock, next);
    }
  }
}

}  // namespace likeness::server

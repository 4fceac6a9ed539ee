#include "server/base/executor.h"

#include <utility>

#include "absl/time/clock.h"

namespace likeness::server {

Executor::Executor(int threads, size_t max_queued) : max_queued_(max_queued) {
  for (int i = 0; i < threads; ++i) threads_.emplace_back([this] { Loop(); });
  threads_.emplace_back([this] {  // moves what is due into the queue
    absl::MutexLock lock(&mutex_);
    while (!stopping_) {
      const absl::Time now = absl::Now();
      for (auto due = delayed_.begin(); due != delayed_.end() && due->first <= now;
           due = delayed_.erase(due)) {
        queue_.push_back(std::move(due->second));
        work_.Signal();
      }
      const absl::Time next = delayed_.empty() ? absl::InfiniteFuture() : delayed_.begin()->first;
      delayed_work_.WaitWithDeadline(&mutex_, next);
    }
  });
}

Executor::~Executor() {
  {
    absl::MutexLock lock(&mutex_);
    stopping_ = true;
    work_.SignalAll();
    delayed_work_.SignalAll();
  }
  for (std::thread& thread : threads_) thread.join();
}

void Executor::Run(std::function<void()> task) {
  absl::MutexLock lock(&mutex_);
  queue_.push_back(std::move(task));
  work_.Signal();
}

bool Executor::TryRun(std::function<void()> task) {
  absl::MutexLock lock(&mutex_);
  if (queue_.size() >= max_queued_) return false;
  queue_.push_back(std::move(task));
  work_.Signal();
  return true;
}

void Executor::RunAfter(absl::Duration delay, std::function<void()> task) {
  absl::MutexLock lock(&mutex_);
  auto added = delayed_.emplace(absl::Now() + delay, std::move(task));
  if (added == delayed_.begin()) delayed_work_.Signal();
}

void Executor::Loop() {
  for (;;) {
    std::function<void()> task;
    {
      absl::MutexLock lock(&mutex_);
      while (queue_.empty() && !stopping_) work_.Wait(&mutex_);
      if (queue_.empty()) return;
      task = std::move(queue_.front());
      queue_.pop_front();
    }
    task();
  }
}

}  // namespace likeness::server

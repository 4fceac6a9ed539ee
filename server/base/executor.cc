#include "server/base/executor.h"

#include <algorithm>
#include <limits>
#include <utility>

namespace likeness::server {
namespace {

constexpr size_t kLanesKept = 1000;  // beyond that, those without a task are forgotten

}  // namespace

Executor::Executor(const ExecutorOptions& options)
    : max_queued_(options.max_queued),
      max_queued_of_lane_(options.fair ? (options.max_queued + 1) / 2 : options.max_queued),
      max_running_of_lane_(options.fair ? (options.threads + 1) / 2
                                        : std::numeric_limits<int>::max()) {
  for (int i = 0; i < options.threads; ++i) threads_.emplace_back([this] { Loop(); });
  threads_.emplace_back([this] { KeepTime(); });
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

void Executor::Run(const std::string& lane, std::function<void()> task) {
  std::unique_lock lock(mutex_);
  Add(lane, std::move(task));
  WakeOne(std::move(lock));
}

bool Executor::TryRun(const std::string& lane, std::function<void()> task) {
  std::unique_lock lock(mutex_);
  if (queued_ >= max_queued_) return false;
  const auto known = lanes_.find(lane);
  if (known != lanes_.end() && known->second->queue.size() >= max_queued_of_lane_) return false;
  Add(lane, std::move(task));
  WakeOne(std::move(lock));
  return true;
}

void Executor::RunAfter(absl::Duration delay, std::function<void()> task) {
  std::lock_guard lock(mutex_);
  auto added =
      delayed_.emplace(SteadyClock::now() + absl::ToChronoNanoseconds(delay), std::move(task));
  if (added == delayed_.begin()) delayed_work_.notify_one();
}

void Executor::Add(const std::string& name, std::function<void()> task) {
  std::unique_ptr<Lane>& lane = lanes_[name];
  if (!lane) lane = std::make_unique<Lane>();
  lane->queue.push_back(std::move(task));
  ++queued_;
  Queue(*lane);
}

void Executor::Queue(Lane& lane) {
  if (lane.in_turn || lane.queue.empty() || lane.running >= max_running_of_lane_) return;
  lane.in_turn = true;
  turns_.push_back(&lane);
}

void Executor::EndTask(Lane& lane) {
  --lane.running;
  Queue(lane);
  if (lanes_.size() <= kLanesKept) return;
  absl::erase_if(lanes_, [](const auto& entry) {
    return entry.second->queue.empty() && entry.second->running == 0;
  });
}

void Executor::WakeOne(std::unique_lock<std::mutex> lock) {
  if (turns_.empty() || waking_ || idle_ == 0) return;
  waking_ = true;
  lock.unlock();  // or who wakes would have to wait at once
  work_.notify_one();
}

void Executor::Loop() {
  Lane* last = nullptr;  // whose task ran here
  for (;;) {
    std::unique_lock lock(mutex_);
    if (last != nullptr) EndTask(*std::exchange(last, nullptr));
    while (turns_.empty() && !stopping_) {
      ++idle_;
      work_.wait(lock);
      --idle_;
      waking_ = false;
    }
    if (turns_.empty()) return;
    Lane* const lane = turns_.front();
    turns_.pop_front();
    const auto task = std::move(lane->queue.front());
    lane->queue.pop_front();
    --queued_;
    ++lane->running;
    lane->in_turn = false;
    Queue(*lane);
    WakeOne(std::move(lock));
    task();
    last = lane;
  }
}

void Executor::KeepTime() {
  for (;;) {
    std::unique_lock lock(mutex_);
    if (stopping_) return;
    if (delayed_.empty()) {
      delayed_work_.wait(lock);
    } else if (const auto next = delayed_.begin()->first; next > SteadyClock::now()) {
      delayed_work_.wait_until(lock, next);
    } else {
      const auto task = std::move(delayed_.begin()->second);
      delayed_.erase(delayed_.begin());
      lock.unlock();
      task();
    }
  }
}

}  // namespace likeness::server

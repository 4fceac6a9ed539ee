// Workers that wait for a job, and whose turn it is to look for one. A new job wakes one of them,
// not all: of those that offer the same, either each can run it or none, so one look answers for
// all. Who finds a job makes it the next one's turn, who is gone before they looked as well, so
// that no job waits beside an idle worker; who finds nothing does not.
#pragma once

#include <cstdint>
#include <functional>
#include <list>
#include <memory>
#include <mutex>
#include <string>

#include "absl/base/thread_annotations.h"
#include "absl/container/flat_hash_map.h"

namespace likeness::server {

// Thread-safe.
class LeaseQueue {
 public:
  // At most so many are told to look at a time.
  explicit LeaseQueue(int max_looks = 16);
  ~LeaseQueue();

  class Turn;

  // From now on this worker waits, and looks for itself first. `wake` tells it that its turn has
  // come; it must not block or call this. `offer`: what the worker can run; equal texts are equal
  // offers.
  [[nodiscard]] std::unique_ptr<Turn> Join(const std::string& offer, std::function<void()> wake);

  // A job has come to wait.
  void Publish();

  // Time has passed: a job that was held back may be ready. Of many different offers a part is
  // asked at a time.
  void PublishByTime();

  // Looks begun because of Publish and the like; for tests.
  int64_t looks() const;

 private:
  struct Group;
  struct Waiter;
  enum class Outcome { kFound, kNothing, kGone };

  void Begin(Waiter& waiter);
  void End(Waiter& waiter, Outcome outcome);
  void Leave(Waiter& waiter);
  void EndLook(Waiter& waiter, Outcome outcome) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // Puts the group where it belongs after a change: see order_.
  void Place(Group& group) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void Dispatch() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  const int max_looks_;
  mutable std::mutex mutex_;
  int64_t news_ ABSL_GUARDED_BY(mutex_) = 1;  // how often it was published
  int64_t looks_ ABSL_GUARDED_BY(mutex_) = 0;
  int under_way_ ABSL_GUARDED_BY(mutex_) = 0;  // told to look, and not done
  absl::flat_hash_map<std::string, std::unique_ptr<Group>> groups_ ABSL_GUARDED_BY(mutex_);
  // Groups in which somebody waits idly: those that have news to look at first.
  std::list<Group*> order_ ABSL_GUARDED_BY(mutex_);
};

// A worker's place. It waits no more when this goes away.
class LeaseQueue::Turn {
 public:
  Turn(LeaseQueue& queue, std::unique_ptr<Waiter> waiter);
  ~Turn();

  // The worker looks now, told or not, ...
  void Begin();
  // ... and has found a job or not.
  void End(bool found);

 private:
  LeaseQueue& queue_;
  const std::unique_ptr<Waiter> waiter_;
};

}  // namespace likeness::server

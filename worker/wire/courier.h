// Brings previews and checkpoints to the server while training goes on.
#pragma once

#include <condition_variable>
#include <deque>
#include <functional>
#include <mutex>
#include <thread>

#include "absl/base/thread_annotations.h"
#include "absl/time/time.h"

namespace likeness {

// Runs errands one after another on a thread of its own. Thread-safe.
class Courier {
 public:
  using Errand = std::function<void()>;

  Courier();
  // Finishes the errand that is under way; the rest is dropped.
  ~Courier();

  // Waits while `kMostErrands` are pending, so that a slow network holds back the sender and not
  // the memory. An errand deals with its own failures; one that throws is logged.
  void Send(Errand errand);

  // Waits until all errands are done; false when the time is up before.
  bool Flush(absl::Duration limit);

 private:
  static constexpr size_t kMostErrands = 16;
  void Run();

  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<Errand> errands_ ABSL_GUARDED_BY(mutex_);
  bool busy_ ABSL_GUARDED_BY(mutex_) = false;
  bool stopping_ ABSL_GUARDED_BY(mutex_) = false;
  std::thread thread_;
};

}  // namespace likeness

// Brings previews and checkpoints to the server while training goes on.
#pragma once

#include <deque>
#include <functional>
#include <thread>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/synchronization/mutex.h"

namespace likeness {

// Runs errands one after another on a thread of its own. Thread-safe.
class Courier {
 public:
  Courier();
  // Finishes the errand that is under way; the rest is dropped.
  ~Courier();

  // Waits while `kMostErrands` are pending, so that a slow network holds back the sender and not
  // the memory.
  void Send(std::function<absl::Status()> errand);

  // Waits for all errands; the first failure since the last call.
  absl::Status Flush();

 private:
  static constexpr size_t kMostErrands = 16;
  void Run();

  absl::Mutex mutex_;
  std::deque<std::function<absl::Status()>> errands_ ABSL_GUARDED_BY(mutex_);
  bool busy_ ABSL_GUARDED_BY(mutex_) = false;
  bool stopping_ ABSL_GUARDED_BY(mutex_) = false;
  absl::Status failure_ ABSL_GUARDED_BY(mutex_);
  std::thread thread_;
};

}  // namespace likeness

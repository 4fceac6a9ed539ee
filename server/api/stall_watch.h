// Tells workers that work from those whose heart alone still beats: a heartbeat comes from a thread
// of its own, which goes on when the one that computes hangs.
#pragma once

#include <map>
#include <string>

#include "absl/base/thread_annotations.h"
#include "absl/strings/string_view.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "likeness/v1/worker_service.pb.h"

namespace likeness::server {

// Kept in memory: after a restart of the server every attempt has the whole time again.
// Thread-safe.
class StallWatch {
 public:
  explicit StallWatch(absl::Duration timeout) : timeout_(timeout) {}

  // Whether nothing new has been reported under the heartbeat's lease for the job's own timeout, or
  // the server's if that is zero. News are a change of the progress, another checkpoint, a sample.
  // `now`: of a steady clock.
  bool Stalled(const v1::HeartbeatRequest& heartbeat, absl::Duration own_timeout, absl::Time now);

  // The lease has ended.
  void Forget(const std::string& lease_token);

  absl::Duration TimeoutOf(absl::Duration own_timeout) const {
    return own_timeout > absl::ZeroDuration() ? own_timeout : timeout_;
  }

 private:
  struct Attempt {
    std::string progress;  // serialized
    absl::Time changed;
    absl::Time heard;
  };
  void Sweep(absl::Time now) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  const absl::Duration timeout_;
  absl::Mutex mutex_;
  std::map<std::string, Attempt> attempts_ ABSL_GUARDED_BY(mutex_);  // by lease token
  absl::Time next_sweep_ ABSL_GUARDED_BY(mutex_) = absl::InfinitePast();
};

}  // namespace likeness::server

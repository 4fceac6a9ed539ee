// How long an attempt may last and be silent, how long a job may wait, and when it is tried again.
#pragma once

#include <optional>

#include "absl/time/time.h"
#include "likeness/v1/job.pb.h"

namespace likeness::server {

struct LeasePolicy {
  absl::Duration duration = absl::Seconds(30);  // after each heartbeat
};

struct RetryPolicy {
  absl::Duration first_delay = absl::Seconds(1);  // doubles with every further failure
  absl::Duration max_delay = absl::Minutes(5);
  // A lease that ran out before its worker said a word counts against max_attempts only from the
  // attempt on that is so many beyond them.
  int unheard_attempts = 10;
};

// How long a job waits after its `failures`-th failed attempt (from 1), or nothing when it is given
// up.
std::optional<absl::Duration> DelayAfterFailure(int failures, int max_attempts,
                                                const RetryPolicy& policy);

// When a job that may start from `ready` on has waited too long.
absl::Time QueueDeadline(const v1::Job& job, absl::Time ready);

// When an attempt that begins at `start`, after others that took `run_time`, has run too long.
absl::Time ExecutionDeadline(const v1::Job& job, absl::Time start, absl::Duration run_time);

}  // namespace likeness::server

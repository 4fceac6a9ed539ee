#include "server/jobs/policies/attempts.h"

#include <algorithm>

#include "server/jobs/proto_time.h"

namespace likeness::server {

std::optional<absl::Duration> DelayAfterFailure(int failures, int max_attempts,
                                                const RetryPolicy& policy) {
  if (failures >= max_attempts) return std::nullopt;
  absl::Duration delay = policy.first_delay;
  for (int i = 1; i < failures && delay < policy.max_delay; ++i) delay *= 2;
  return std::min(delay, policy.max_delay);
}

absl::Time QueueDeadline(const v1::Job& job, absl::Time ready) {
  if (!job.has_max_queue_duration()) return absl::InfiniteFuture();
  return ready + FromProto(job.max_queue_duration());
}

absl::Time ExecutionDeadline(const v1::Job& job, absl::Time start, absl::Duration run_time) {
  if (!job.has_execution_timeout()) return absl::InfiniteFuture();
  return start + FromProto(job.execution_timeout()) - run_time;
}

}  // namespace likeness::server

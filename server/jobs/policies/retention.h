// How long what has ended is kept.
#pragma once

#include <cstdint>

#include "absl/time/time.h"
#include "likeness/v1/job.pb.h"

namespace likeness::server {

struct RetentionPolicy {
  absl::Duration jobs = 30 * absl::Hours(24);  // after their end; infinite for ever
  // Events of jobs that have ended, after that; infinite as long as their job. States and the
  // end of its log are kept as long as it in any case, but a watch that lacks other events begins
  // again with a snapshot.
  absl::Duration events = absl::Hours(1);
  // Of one tenant at most so many jobs that have ended, and bytes of them: the first to end go
  // first.
  int64_t jobs_per_tenant = 100'000;
  int64_t bytes_per_tenant = int64_t{256} << 20;
};

// When a job that ended at `end` is forgotten.
absl::Time JobExpiry(absl::Time end, const RetentionPolicy& policy);

// When the events of a job that ended at `end` are.
absl::Time EventExpiry(absl::Time end, const RetentionPolicy& policy);

// What ended at this time or before is not kept any longer at `now`: the same, asked from the other
// side.
absl::Time EndOfExpiredJobs(absl::Time now, const RetentionPolicy& policy);
absl::Time EndOfExpiredEvents(absl::Time now, const RetentionPolicy& policy);

// Sets expire_time where the job has one.
void AddExpiry(v1::Job& job, const RetentionPolicy& policy);

}  // namespace likeness::server

#include "server/jobs/policies/retention.h"

#include "server/jobs/proto_time.h"

namespace likeness::server {

absl::Time JobExpiry(absl::Time end, const RetentionPolicy& policy) { return end + policy.jobs; }

absl::Time EventExpiry(absl::Time end, const RetentionPolicy& policy) {
  return end + policy.events;
}

absl::Time EndOfExpiredJobs(absl::Time now, const RetentionPolicy& policy) {
  return now - policy.jobs;
}

absl::Time EndOfExpiredEvents(absl::Time now, const RetentionPolicy& policy) {
  return now - policy.events;
}

void AddExpiry(v1::Job& job, const RetentionPolicy& policy) {
  if (!job.has_end_time() || policy.jobs == absl::InfiniteDuration()) return;
  *job.mutable_expire_time() = ToProto(JobExpiry(FromProto(job.end_time()), policy));
}

}  // namespace likeness::server

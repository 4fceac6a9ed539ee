// Lease, retry and choice of the next job, as pure functions of a snapshot and a time.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "likeness/v1/worker_service.pb.h"

namespace likeness::server {

struct LeasePolicy {
  absl::Duration duration = absl::Seconds(30);  // after each heartbeat
};

struct RetryPolicy {
  absl::Duration first_delay = absl::Seconds(1);  // doubles with every further failure
  absl::Duration max_delay = absl::Minutes(5);
};

// How long a job waits after its `failures`-th failed attempt (from 1), or nothing when it is given
// up.
std::optional<absl::Duration> DelayAfterFailure(int failures, int max_attempts,
                                                const RetryPolicy& policy);

// What the choice of a job looks at.
struct Candidate {
  int64_t key = 0;
  std::string method;                 // "dreambooth", "generate"
  std::string base_model;             // models/{model}; empty when any worker will do
  std::string base_model_digest;      // set when a checkpoint binds the job to these very files
  std::string model;                  // as a worker names what it holds in memory
  std::vector<std::string> samplers;  // all that the job draws with
  absl::Time create_time;
};

// Whether the worker can do the job at all.
bool CanRun(const Candidate& job, const v1::AcquireLeaseRequest& offer);

// The index of the job to lease among `candidates` (oldest first), or nothing. The oldest that the
// worker can run, unless it has waited less than `patience` and a younger one's model is already in
// the worker's memory.
std::optional<size_t> ChooseJob(const std::vector<Candidate>& candidates,
                                const v1::AcquireLeaseRequest& offer, absl::Time now,
                                absl::Duration patience = absl::Seconds(5));

}  // namespace likeness::server

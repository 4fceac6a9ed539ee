// What a tenant's jobs may take.
#pragma once

#include <cstdint>
#include <functional>
#include <limits>
#include <string>

#include "absl/time/time.h"

namespace likeness::server {

struct JobQuota {
  static constexpr int64_t kNone = std::numeric_limits<int64_t>::max();

  int64_t max_pending_jobs = kNone;  // that wait when one more is created or retried
  int64_t max_running_jobs = kNone;  // that workers hold at one time
  // Time that workers held its jobs, in a day and in a month of UTC, counted at each heartbeat.
  // Once it is spent, no job is accepted or started; what runs goes on.
  absl::Duration worker_time_per_day = absl::InfiniteDuration();
  absl::Duration worker_time_per_month = absl::InfiniteDuration();
};

// That of a tenant at this moment. Thread-safe, and quick.
using JobQuotas = std::function<JobQuota(const std::string& tenant)>;

// How many tenants have reached each limit of their quota: their next job is refused, or waits.
struct TenantsAtQuota {
  int64_t max_pending_jobs = 0;
  int64_t max_running_jobs = 0;
  int64_t worker_time_per_day = 0;
  int64_t worker_time_per_month = 0;
};

}  // namespace likeness::server

// What those who operate the service ask a job store.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "common/resource_names.h"

namespace likeness::server {

// That a worker has the lease of.
struct HeldJob {
  std::string worker;
  JobName name;
};

struct QueueGroup {
  std::string tenant;
  std::string method;
  std::string base_model;  // empty for personalized models
  int64_t waiting = 0;
  int64_t scheduled = 0;                   // of those; their time has not come
  std::optional<absl::Duration> oldest{};  // of the others
};

struct UsedDay {
  absl::Time day;  // its beginning
  absl::Duration worker_time;
  int64_t ended_jobs = 0;
};

// A worker that gets no jobs.
struct DrainedWorker {
  std::string worker;
  bool release_job = false;  // it gives back the one that it has
};

}  // namespace likeness::server

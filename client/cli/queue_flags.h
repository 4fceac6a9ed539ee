// The flags that say how a job waits and how long it may run.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "common/flags.h"
#include "likeness/v1/job.pb.h"

namespace likeness::client {

struct QueueFlags {
  std::optional<int32_t> priority;
  std::string at;  // a time, or how long from now
  std::optional<absl::Duration> max_wait;
  std::optional<absl::Duration> timeout;
  std::vector<std::string> require;  // KEY=VALUE
  std::optional<double> min_device_memory;

  void AddTo(FlagSet& flags);

  // Writes into the job what is set. INVALID_ARGUMENT: a flag is wrong.
  absl::Status Apply(absl::Time now, v1::Job& job) const;
};

}  // namespace likeness::client

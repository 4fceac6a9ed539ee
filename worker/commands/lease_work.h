// What a serving worker does with its leases: work on them with the models that it has, or rehearse
// them.
#pragma once

#include <cstdint>
#include <string>

#include "absl/status/statusor.h"
#include "worker/commands/worker_setup.h"
#include "worker/wire/lease_loop.h"

namespace likeness {

struct Workplace {
  std::string device;
  int64_t device_memory_bytes = 0;
  LeaseWork work;
};

// Errors of SetUp (worker_setup.h).
absl::StatusOr<Workplace> MakeWorkplace(const WorkerFlags& flags);

// Neither models nor a device are looked for. `models`: as RehearsalModels::Parse.
absl::StatusOr<Workplace> MakeRehearsal(const WorkerFlags& flags, const std::string& models);

}  // namespace likeness

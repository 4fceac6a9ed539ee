// How long the work of jobs takes (policies/work.h), by base model, method and device. Bounded: of
// all that was measured, what was measured longest ago goes.
#pragma once

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "server/jobs/job_record.h"
#include "server/jobs/policies/work.h"
#include "server/jobs/sqlite/database.h"

namespace likeness::server {

// Learns from a job that has just succeeded, if its worker measured it from beginning to end.
absl::Status MeasureJob(Database& database, const JobRecord& record, absl::Time now);

// Of one base model and method, the device that was measured last first.
absl::StatusOr<std::vector<DeviceRates>> ReadRates(Database& database, const std::string& digest,
                                                   const std::string& method);

}  // namespace likeness::server

// One change to many jobs, those that pass a filter: what CancelJobs and DeleteJobs do.
#pragma once

#include <string>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/status/statusor.h"
#include "server/jobs/job_store.h"

namespace likeness::server {

struct BulkChange {
  std::vector<std::string> jobs;  // that were changed
  bool more = false;              // others may match
};

// Calls `change` with the tenant's jobs that pass the filter and are in one of the states, 1,000 of
// them at most, and none once `enough` says so. Jobs that somebody else changes meanwhile are left
// out. An error ends it; it is returned if nothing was changed until then, else what was done is.
// INVALID_ARGUMENT: FILTER_MISSING, INVALID_FILTER.
absl::StatusOr<BulkChange> ChangeJobs(JobStore& jobs, const std::string& tenant,
                                      const std::string& filter,
                                      const std::vector<v1::JobState>& states,
                                      absl::FunctionRef<absl::Status(const JobName&)> change,
                                      absl::FunctionRef<bool()> enough);

}  // namespace likeness::server

// The calls for those who operate the service: one function each. Without the role "operator" they
// are PERMISSION_DENIED (ROLE_MISSING), except Usage() of the caller's own tenant.
#pragma once

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "client/lib/connection.h"

namespace likeness::client {

// All workers, by name.
absl::StatusOr<v1::ListWorkersResponse> ListWorkers(const Connection& connection);

// `name` is workers/{worker}.
absl::Status DrainWorker(const Connection& connection, const std::string& name, bool release_job);
absl::Status UndrainWorker(const Connection& connection, const std::string& name);

absl::StatusOr<v1::GetQueueResponse> GetQueue(const Connection& connection);

// `tenant`: of the caller if it is empty.
absl::StatusOr<v1::GetUsageResponse> GetUsage(const Connection& connection,
                                              const std::string& tenant, int days);

}  // namespace likeness::client

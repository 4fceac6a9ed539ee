// Names in requests, as the caller may use them.
#pragma once

#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "common/resource_names.h"
#include "server/auth/caller.h"
#include "server/jobs/job_store.h"

namespace likeness::server {

// The caller's own job. Another tenant's is NOT_FOUND (JOB_NOT_FOUND), as if it did not exist.
absl::StatusOr<JobName> OwnJob(absl::string_view name, const Caller& caller);

// The caller's own personalized model. Another tenant's, and a base model, is NOT_FOUND
// (MODEL_NOT_FOUND).
absl::StatusOr<ModelName> OwnModel(absl::string_view name, const Caller& caller);

// The caller's tenant; empty means that too. Another's is NOT_FOUND (TENANT_NOT_FOUND).
absl::StatusOr<std::string> OwnParent(absl::string_view parent, const Caller& caller);

// The tenant whose blobs the caller may use: its own, or, for a worker, that of the job whose live
// lease it names. PERMISSION_DENIED (LEASE_MISSING) without one; ABORTED (LEASE_LOST).
absl::StatusOr<std::string> BlobTenant(const Caller& caller, JobStore& jobs);

}  // namespace likeness::server

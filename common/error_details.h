// What an error can carry besides its reason (rpc_error.h): when to try again, and which quota was
// in the way.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"

namespace likeness {

// Adds google.rpc.RetryInfo.
absl::Status WithRetryDelay(absl::Status status, absl::Duration delay);

// RetryInfo's delay; nothing when there is none.
std::optional<absl::Duration> RetryDelay(const absl::Status& status);

// RESOURCE_EXHAUSTED (QUOTA_EXCEEDED) with google.rpc.QuotaFailure. `subject`: "tenants/acme";
// `quota`: what it is called in the file of keys; `limit`: as much is allowed.
absl::Status QuotaExceeded(absl::string_view subject, absl::string_view description,
                           absl::string_view quota, int64_t limit);

// QuotaFailure's first subject; empty when there is none.
std::string QuotaSubject(const absl::Status& status);

}  // namespace likeness

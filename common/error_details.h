// What an error can carry besides its reason (rpc_error.h): when to try again, and which quota was
// in the way.
#pragma once

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

// RESOURCE_EXHAUSTED (QUOTA_EXCEEDED) with google.rpc.QuotaFailure. `subject`: "tenants/acme".
absl::Status QuotaExceeded(absl::string_view subject, absl::string_view description);

// QuotaFailure's first subject; empty when there is none.
std::string QuotaSubject(const absl::Status& status);

}  // namespace likeness

// The end of what its caller stopped.
#pragma once

#include <stop_token>

#include "absl/status/status.h"

namespace likeness::client {

// What ended because a stop was requested: CANCELLED, but not what the server calls so.
bool IsStopped(const absl::Status& status);

// `status`, or that it was stopped if `stop` was requested.
absl::Status OrStopped(const absl::Status& status, const std::stop_token& stop);

}  // namespace likeness::client

// What a tenant may take, as the auth file says.
#pragma once

#include <cstdint>
#include <limits>
#include <optional>

#include "server/auth/token_bucket.h"
#include "server/jobs/quota.h"

namespace likeness::server {

struct TenantLimits {
  JobQuota jobs;
  int64_t stored_bytes = std::numeric_limits<int64_t>::max();  // of blobs
  std::optional<RateLimit> calls;
};

}  // namespace likeness::server

// What a tenant may take, as the auth file says.
#pragma once

#include <optional>

#include "server/auth/token_bucket.h"
#include "server/jobs/quota.h"

namespace likeness::server {

struct TenantLimits {
  JobQuota jobs;
  std::optional<RateLimit> calls;
};

}  // namespace likeness::server

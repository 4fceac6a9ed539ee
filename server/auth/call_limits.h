// How often one may call, and how often one may call in vain.
#pragma once

#include <string>

#include "absl/status/status.h"
#include "server/auth/rate_limiter.h"

namespace likeness::server {

// Thread-safe.
class CallLimits {
 public:
  // RESOURCE_EXHAUSTED (RATE_LIMITED), with RetryInfo.
  absl::Status CheckRate(const std::string& tenant, const RateLimit& limit, double cost,
                         absl::Time now);

  // OK while the peer has not failed too often to say who it is; then RESOURCE_EXHAUSTED
  // (TOO_MANY_FAILURES), with RetryInfo. A good token is never refused for others' bad ones: many
  // may stand behind one address. So only a failure may ask.
  absl::Status CheckFailure(const std::string& peer, absl::Time now);

 private:
  RateLimiter tenants_{10'000};
  RateLimiter peers_{10'000};
};

}  // namespace likeness::server

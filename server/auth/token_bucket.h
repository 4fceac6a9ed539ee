// Limits on how often something may happen, as pure functions of a bucket and a time.
#pragma once

#include <algorithm>

#include "absl/time/time.h"

namespace likeness::server {

struct RateLimit {
  double per_second = 0;  // tokens that come back
  double burst = 0;       // tokens that a full bucket holds
};

// Full at first. An infinite past makes it so.
struct TokenBucket {
  double tokens = 0;  // as of `time`
  absl::Time time = absl::InfinitePast();
};

// The bucket as it is at `now`. A clock that goes back brings nothing.
inline TokenBucket Refilled(const TokenBucket& bucket, const RateLimit& limit, absl::Time now) {
  if (bucket.time == absl::InfinitePast()) return {limit.burst, now};
  const absl::Duration passed = std::max(now - bucket.time, absl::ZeroDuration());
  const double tokens = bucket.tokens + limit.per_second * absl::ToDoubleSeconds(passed);
  return {std::min(tokens, limit.burst), std::max(now, bucket.time)};
}

// Takes `cost` tokens, and returns zero; or takes nothing, and returns after what time there will
// be enough. What costs more than a full bucket holds costs a full bucket.
inline absl::Duration Take(TokenBucket& bucket, const RateLimit& limit, double cost,
                           absl::Time now) {
  bucket = Refilled(bucket, limit, now);
  const double lacking = std::min(cost, limit.burst) - bucket.tokens;
  if (lacking > 0) return absl::Seconds(lacking / limit.per_second);
  bucket.tokens -= std::min(cost, limit.burst);
  return absl::ZeroDuration();
}

}  // namespace likeness::server

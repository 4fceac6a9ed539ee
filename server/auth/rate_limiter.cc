#include "server/auth/rate_limiter.h"

namespace likeness::server {

absl::Duration RateLimiter::Take(const std::string& name, const RateLimit& limit, double cost,
                                 absl::Time now) {
  std::lock_guard lock(mutex_);
  auto found = buckets_.find(name);
  if (found == buckets_.end()) {
    if (buckets_.size() >= max_names_) ForgetFull(now);
    if (buckets_.size() >= max_names_) return absl::Seconds(1);
    found = buckets_.emplace(name, Limited()).first;
  }
  found->second.limit = limit;
  return server::Take(found->second.bucket, limit, cost, now);
}

void RateLimiter::ForgetFull(absl::Time now) {
  std::erase_if(buckets_, [now](const auto& entry) {
    const Limited& limited = entry.second;
    return Refilled(limited.bucket, limited.limit, now).tokens >= limited.limit.burst;
  });
}

}  // namespace likeness::server

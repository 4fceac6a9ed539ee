#include "server/auth/rate_limiter.h"

namespace likeness::server {

absl::Duration RateLimiter::Take(const std::string& name, const RateLimit& limit, double cost,
                                 absl::Time now) {
  std::lock_guard lock(mutex_);
  auto found = buckets_.find(name);
  if (found == buckets_.end()) {
    if (buckets_.size() >= max_names_) ForgetFull(limit, now);
    if (buckets_.size() >= max_names_) return absl::Seconds(1);
    found = buckets_.emplace(name, TokenBucket()).first;
  }
  return server::Take(found->second, limit, cost, now);
}

void RateLimiter::ForgetFull(const RateLimit& limit, absl::Time now) {
  for (auto entry = buckets_.begin(); entry != buckets_.end();) {
    const bool full = Refilled(entry->second, limit, now).tokens >= limit.burst;
    entry = full ? buckets_.erase(entry) : std::next(entry);
  }
}

}  // namespace likeness::server

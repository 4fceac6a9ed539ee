// One bucket for each name (a tenant, a peer's address).
#pragma once

#include <map>
#include <mutex>
#include <string>

#include "absl/base/thread_annotations.h"
#include "server/auth/token_bucket.h"

namespace likeness::server {

// Thread-safe.
class RateLimiter {
 public:
  // Keeps at most so many buckets: those that are full again are forgotten, and with too many that
  // are not, a new name is treated as an old one at its limit.
  explicit RateLimiter(size_t max_names) : max_names_(max_names) {}

  // Zero if `name` may go on, else how long it should wait.
  absl::Duration Take(const std::string& name, const RateLimit& limit, double cost, absl::Time now);

 private:
  struct Limited {
    TokenBucket bucket;
    RateLimit limit;  // its own, as of the last call: others' say nothing of when it is full
  };

  void ForgetFull(absl::Time now) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  const size_t max_names_;
  std::mutex mutex_;
  std::map<std::string, Limited> buckets_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace likeness::server

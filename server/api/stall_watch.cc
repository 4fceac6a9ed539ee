#include "server/api/stall_watch.h"

#include <utility>

namespace likeness::server {

bool StallWatch::Stalled(const v1::HeartbeatRequest& heartbeat, absl::Duration own_timeout,
                         absl::Time now) {
  absl::MutexLock lock(&mutex_);
  Sweep(now);
  const Attempt first{.progress = "", .changed = now, .heard = now};
  Attempt& attempt = attempts_.try_emplace(heartbeat.lease_token(), first).first->second;
  attempt.heard = now;
  bool news = heartbeat.has_checkpoint() || heartbeat.samples_size() > 0;
  if (heartbeat.has_progress()) {
    std::string progress = heartbeat.progress().SerializeAsString();
    news = news || progress != attempt.progress;
    attempt.progress = std::move(progress);
  }
  if (news) attempt.changed = now;
  return now - attempt.changed >= TimeoutOf(own_timeout);
}

void StallWatch::Forget(const std::string& lease_token) {
  absl::MutexLock lock(&mutex_);
  attempts_.erase(lease_token);
}

// Leases that ran out are never heard of again.
void StallWatch::Sweep(absl::Time now) {
  if (now < next_sweep_) return;
  next_sweep_ = now + timeout_;
  for (auto it = attempts_.begin(); it != attempts_.end();) {
    it = now - it->second.heard > timeout_ ? attempts_.erase(it) : std::next(it);
  }
}

}  // namespace likeness::server

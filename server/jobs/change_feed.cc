#include "server/jobs/change_feed.h"

#include <utility>

namespace likeness::server {

ChangeFeed::Subscription ChangeFeed::Subscribe(const std::string& topic,
                                               std::function<void()> wake) {
  std::lock_guard lock(mutex_);
  const int64_t id = next_id_++;
  topics_[topic].emplace(id, std::move(wake));
  // An owner of nothing, whose deleter unsubscribes.
  return Subscription(this, [this, topic, id](void*) { Unsubscribe(topic, id); });
}

void ChangeFeed::Publish(absl::string_view topic) {
  std::lock_guard lock(mutex_);
  auto found = topics_.find(topic);
  if (found == topics_.end()) return;
  for (auto& [id, wake] : found->second) wake();
}

void ChangeFeed::Unsubscribe(const std::string& topic, int64_t id) {
  std::lock_guard lock(mutex_);
  auto found = topics_.find(topic);
  found->second.erase(id);
  if (found->second.empty()) topics_.erase(found);
}

}  // namespace likeness::server

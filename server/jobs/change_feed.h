// Tells whoever waits that something changed. It carries no news itself: the waiter looks at the
// store again.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>

#include "absl/base/thread_annotations.h"
#include "absl/container/flat_hash_map.h"
#include "absl/strings/string_view.h"

namespace likeness::server {

// Thread-safe.
class ChangeFeed {
 public:
  // A topic besides the names of jobs: the server is about to stop.
  static constexpr char kDrain[] = "drain";

  // `wake` is called until this goes away.
  using Subscription = std::shared_ptr<void>;
  // `wake` must not block, and must not call the feed.
  [[nodiscard]] Subscription Subscribe(const std::string& topic, std::function<void()> wake);

  void Publish(absl::string_view topic);

 private:
  void Unsubscribe(const std::string& topic, int64_t id);

  std::mutex mutex_;
  int64_t next_id_ ABSL_GUARDED_BY(mutex_) = 0;
  absl::flat_hash_map<std::string, std::map<int64_t, std::function<void()>>> topics_
      ABSL_GUARDED_BY(mutex_);
};

}  // namespace likeness::server

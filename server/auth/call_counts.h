// How many calls each tenant has under way: watches, waits and transfers may be open for long, and
// each costs memory, a transfer an open file as well.
#pragma once

#include <memory>
#include <mutex>
#include <string>

#include "absl/base/thread_annotations.h"
#include "absl/container/flat_hash_map.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "server/auth/caller.h"

namespace likeness::server {

struct CallCountLimits {
  int calls = 20'000;   // of a tenant; of the workers together five times as many
  int transfers = 128;  // of them Read and Write; workers move what they need
};

// Thread-safe.
class CallCounts {
 public:
  explicit CallCounts(const CallCountLimits& limits = {}) : limits_(limits) {}

  // The call counts until what is returned goes away, which must not be after this.
  // RESOURCE_EXHAUSTED (TOO_MANY_CALLS).
  absl::StatusOr<std::shared_ptr<void>> Enter(const Caller& caller, absl::string_view method);

 private:
  struct Count {
    int calls = 0;
    int transfers = 0;
  };

  const CallCountLimits limits_;
  std::mutex mutex_;
  absl::flat_hash_map<std::string, Count> tenants_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace likeness::server

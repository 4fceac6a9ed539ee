// Which jobs have changed, in the order of the commits, for those who follow many at once. It is
// kept in memory: a position is of one run of the server.
#pragma once

#include <cstdint>
#include <deque>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/strings/string_view.h"
#include "server/jobs/job_store.h"

namespace likeness::server {

// Thread-safe.
class ChangeLog {
 public:
  struct Entry {
    int64_t position = 0;  // 1, 2, 3, ...
    std::string tenant;
    std::string job;
    int64_t key = 0;
    // The events of the change are those after the first seq, up to the last.
    int64_t after_seq = 0;
    int64_t last_seq = 0;
    bool deleted = false;
  };

  // Of all tenants the latest `most` changes are kept.
  explicit ChangeLog(size_t most) : most_(most) {}

  // Called for each change once it is durable.
  void Add(const JobChange& change);

  // That of the latest change. Whoever reads the store afterwards sees it.
  int64_t position() const;

  // The tenant's changes after a position, at most `limit`; `*position` becomes that of the last
  // change that was looked at. Nothing when some of them are not kept any longer.
  std::optional<std::vector<Entry>> After(absl::string_view tenant, int64_t* position,
                                          size_t limit) const;

 private:
  const size_t most_;
  mutable std::mutex mutex_;
  int64_t last_ ABSL_GUARDED_BY(mutex_) = 0;
  std::deque<Entry> entries_ ABSL_GUARDED_BY(mutex_);  // with positions that have no gaps
};

// What all changes of a tenant's jobs are published under.
std::string JobsTopic(absl::string_view tenant);

}  // namespace likeness::server

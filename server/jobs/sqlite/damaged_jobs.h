// Jobs whose records lie on damaged pages. They are passed over, so that one of them at the head of
// a queue or a list is not in the way of the others.
#pragma once

#include <cstdint>
#include <mutex>
#include <set>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "server/jobs/sqlite/database.h"

namespace likeness::server {

// Thread-safe.
class DamagedJobs {
 public:
  bool Has(int64_t key) const;
  std::vector<int64_t> All() const;
  void RemoveFrom(std::vector<int64_t>& keys) const;

  // Notes the job if this is DATA_LOSS, and says so in the log, once for each job, by its name.
  void NoteIfDamaged(Database& database, int64_t key, const absl::Status& status);

  // Reads every job of the tenant to find those that cannot be read. False if that was done before:
  // it takes long, and finds nothing new.
  bool Search(Database& database, const std::string& tenant);

 private:
  mutable std::mutex mutex_;
  std::set<int64_t> keys_ ABSL_GUARDED_BY(mutex_);
  std::set<std::string> searched_ ABSL_GUARDED_BY(mutex_);  // tenants
};

}  // namespace likeness::server

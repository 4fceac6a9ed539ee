// What a server does to its blobs beside serving them, on one thread: collects those that nothing
// names, and reads all of them again and again, slowly.
#pragma once

#include <atomic>
#include <condition_variable>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "common/clock.h"
#include "server/maintenance/collect.h"
#include "server/metrics/metrics.h"

namespace likeness::server {

struct MaintenanceOptions {
  CollectPolicy collect;
  absl::Duration collect_every = absl::Hours(1);     // 0: only when asked
  absl::Duration scrub_every = absl::Hours(24 * 7);  // from beginning to beginning; 0: never
  int64_t scrub_bytes_per_second = 16 << 20;
};

// Thread-safe.
class Maintenance {
 public:
  // All must outlive this. A scrub's progress is noted in the file `place`, so that the next
  // process goes on with it.
  Maintenance(JobStore& jobs, BlobStore& blobs, Metrics& metrics, const Clock& clock,
              const MaintenanceOptions& options, std::string place);
  ~Maintenance();

  // Begins at once, or after what is under way.
  void CollectNow();

  // A job has no use for its checkpoint any more. Does not block.
  void Release(std::string checkpoint);

 private:
  void Loop();
  // Does what has become due until the time is over. False: the end has come.
  bool Wait(absl::Duration duration);
  void Collect();
  void EraseRest();
  void Scrub();

  JobStore& jobs_;
  BlobStore& blobs_;
  Metrics& metrics_;
  const Clock& clock_;
  const MaintenanceOptions options_;
  const std::string place_;
  std::mutex mutex_;
  std::condition_variable wake_;
  bool stopping_ ABSL_GUARDED_BY(mutex_) = false;
  bool collect_asked_ ABSL_GUARDED_BY(mutex_) = false;
  std::vector<std::string> released_ ABSL_GUARDED_BY(mutex_);
  absl::Time next_collect_;  // of the thread
  std::thread thread_;
};

}  // namespace likeness::server

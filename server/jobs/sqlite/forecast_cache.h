// The forecast of the queue, made when it is asked for.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>

#include "absl/base/thread_annotations.h"
#include "absl/status/statusor.h"
#include "server/jobs/policies/forecast.h"
#include "server/jobs/sqlite/read_pool.h"
#include "server/jobs/sqlite/store_clock.h"

namespace likeness::server {

// Thread-safe.
class ForecastCache {
 public:
  // Both must outlive this.
  ForecastCache(ReadPool& readers, const StoreClock& clock, QueuePolicy policy)
      : readers_(readers), clock_(clock), policy_(std::move(policy)) {}

  // Jobs came, went, or were started.
  void Outdate() { ++changes_; }

  // As of now, or of so short a while ago that making it anew would cost too much: a millisecond
  // with a few jobs, seconds with 100,000.
  absl::StatusOr<std::shared_ptr<const Forecast>> Get();

 private:
  ReadPool& readers_;
  const StoreClock& clock_;
  const QueuePolicy policy_;
  std::atomic<int64_t> changes_ = 0;
  std::mutex mutex_;
  std::shared_ptr<const Forecast> forecast_ ABSL_GUARDED_BY(mutex_);
  int64_t made_after_ ABSL_GUARDED_BY(mutex_) = -1;  // so many changes
  absl::Duration served_ ABSL_GUARDED_BY(mutex_);    // how long it serves
};

}  // namespace likeness::server

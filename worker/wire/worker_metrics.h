// What Prometheus sees of a worker.
#pragma once

#include <chrono>
#include <map>
#include <memory>
#include <string>

#include "absl/base/thread_annotations.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "likeness/v1/job.pb.h"

namespace prometheus {
class Counter;
class Registry;
template <typename T>
class Family;
}  // namespace prometheus

namespace likeness {

class HttpPages;

//   likeness_worker_jobs_total{method,outcome}     outcome: succeeded, failed, cancelled,
//   preempted, lost likeness_worker_training_steps_total likeness_worker_phase_seconds_total{phase}
//   likeness_worker_lease_errors_total             calls of the lease loop that the server did not
//   answer well process_resident_memory_bytes, likeness_worker_peak_resident_memory_bytes
// Thread-safe.
class WorkerMetrics {
 public:
  // address: "127.0.0.1:9465" serves the page at /metrics; "" does not. UNAVAILABLE if the port is
  // taken.
  static absl::StatusOr<std::unique_ptr<WorkerMetrics>> Start(const std::string& address);
  ~WorkerMetrics();

  void JobEnded(const std::string& method, const std::string& outcome);
  void LeaseError();
  // Counts steps and the seconds that pass between reports.
  void Observe(const v1::Progress& progress);

 private:
  WorkerMetrics();

  const std::unique_ptr<prometheus::Registry> registry_;
  prometheus::Family<prometheus::Counter>& jobs_;
  prometheus::Counter& steps_;
  prometheus::Family<prometheus::Counter>& phase_seconds_;
  prometheus::Counter& lease_errors_;
  std::unique_ptr<HttpPages> pages_;

  using Clock = std::chrono::steady_clock;
  absl::Mutex mutex_;
  v1::JobPhase phase_ ABSL_GUARDED_BY(mutex_) = v1::JOB_PHASE_UNSPECIFIED;
  int64_t step_ ABSL_GUARDED_BY(mutex_) = 0;
  Clock::time_point observed_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace likeness

// Where waiting jobs stand, and when they will start, about: the queue as it is now, served as
// policies/choice.h serves it, if nothing new comes and every worker can run every job.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "server/jobs/policies/choice.h"

namespace likeness::server {

// A waiting job, as far as its place depends on it.
struct QueuePlace {
  std::string tenant;
  int priority = kDefaultPriority;
  absl::Time queue_time;
  absl::Time not_before;
  int64_t key = 0;
};

struct RunningJob {
  std::string method;
  absl::Time attempt_time;
};

// What the forecast is made from. Jobs that wait for their time do not belong to it.
struct QueueView {
  std::vector<QueuePlace> waiting;
  std::map<std::string, int64_t> methods;  // of those that wait: how many
  std::vector<RunningJob> running;
  std::map<std::string, absl::Duration> durations;  // of a job, by method, where it is known
};

// Immutable.
class Forecast {
 public:
  Forecast(const QueueView& view, absl::Time now, const QueuePolicy& policy);

  // Jobs that will be started before this one. Exact if its tenant is the only one.
  int PositionOf(const QueuePlace& job) const;

  // When the job at a position starts; nothing when no job runs or when it is not known how long
  // jobs take.
  std::optional<absl::Time> StartOf(int position) const;

  absl::Time made() const { return now_; }

 private:
  using Age = std::pair<absl::Time, int64_t>;  // queue_time and key: the least comes first
  struct Tenant {
    double weight = 1;
    std::array<std::vector<Age>, kHighestPriority + 1> by_priority;  // in order
    std::array<int64_t, kHighestPriority + 2> at_least{};            // jobs of a level or above
  };

  const QueuePolicy policy_;
  const absl::Time now_;
  std::map<std::string, Tenant> tenants_;
  std::vector<absl::Duration> free_in_;          // until each worker has done its job; in order
  std::optional<absl::Duration> mean_duration_;  // of the jobs that wait
};

// The mean duration of recent jobs, one more of which took `duration`: over all of the first ten,
// then fading.
absl::Duration MeanDuration(absl::Duration mean, int64_t runs, absl::Duration duration);

}  // namespace likeness::server

// Which waiting job a worker gets.
//
// A waiting job rises by one level of priority for each `ageing` that it has waited, up to the
// highest. Among the jobs that the worker can run those of the highest level come first; within it
// the tenant for which the fewest workers work, relative to its weight; then the one that has been
// served the least (start-time fair queueing, Goyal et al. 1996: tenants have shares of the
// workers' time in the long run, and one that was away for long saves up nothing); then the oldest
// job.
//
// Since every job reaches the highest level, and there each tenant is served in its turn, none
// waits for ever while workers that can run it come by and there is an end to the tenants.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/time/time.h"
#include "likeness/v1/worker_service.pb.h"

namespace likeness::server {

inline constexpr int kLowestPriority = 1;
inline constexpr int kDefaultPriority = 3;
inline constexpr int kHighestPriority = 5;

struct QueuePolicy {
  absl::Duration ageing = absl::Hours(1);
  // For so long after its queue_time a job may be passed over for another of its level whose model
  // is already in the worker's memory.
  absl::Duration patience = absl::Seconds(5);
  std::map<std::string, double> weights;  // of tenants, above 0; 1 for those that are not there

  double WeightOf(const std::string& tenant) const;
};

// What a job needs of the worker that runs it.
struct Needs {
  std::string method;                 // "dreambooth", "generate", "evaluate"
  std::vector<std::string> methods;   // besides: those of its adapters, "evaluate" to be judged
  std::string base_model;             // baseModels/{base_model}; empty when any worker will do
  std::string base_model_digest;      // set when a checkpoint binds the job to these very files
  std::vector<std::string> samplers;  // all that the job draws with
  int spec_revision = 0;              // common/spec_revision.h
  // Which base model's evaluators judge its images, and what they must measure, any if there is
  // none; empty if nothing is judged, or if the job names evaluators, of which workers do not say
  // what they measure.
  std::string judged_as;
  std::vector<v1::Measure> measures;
  int64_t device_memory_bytes = 0;
  std::vector<std::pair<std::string, std::string>> labels;
};

bool CanRun(const Needs& needs, const v1::AcquireLeaseRequest& offer);

// A job that may start now.
struct Candidate {
  int64_t key = 0;  // grows with every job created
  std::string tenant;
  int priority = kDefaultPriority;
  absl::Time queue_time;  // since when it waits
  Needs needs;
  std::vector<std::string> models{};  // all that it uses, as workers name what they have in memory
};

// What a tenant has of the workers.
struct TenantShare {
  int running = 0;        // jobs that workers hold
  absl::Duration served;  // virtual time up to which it has been served
};

// Of everybody.
struct Shares {
  std::map<std::string, TenantShare> tenants;  // those that are not there have nothing
  absl::Duration virtual_time;                 // that of the job leased last
};

// The level of a job that has waited for so long.
int LevelOf(int priority, absl::Duration waited, const QueuePolicy& policy);

// The index of the job to lease, or nothing. Among jobs of which the worker has models in memory
// the one with most of them comes first. The candidates must hold, of each tenant, priority and set
// of needs, the oldest job; and the same again of each model that the worker has in memory. Others
// do no harm.
std::optional<size_t> ChooseJob(const std::vector<Candidate>& candidates, const Shares& shares,
                                const v1::AcquireLeaseRequest& offer, absl::Time now,
                                const QueuePolicy& policy);

// Notes that the tenant was served with a job that will take a worker for about `cost`.
void ChargeTenant(const std::string& tenant, absl::Duration cost, const QueuePolicy& policy,
                  Shares& shares);

}  // namespace likeness::server

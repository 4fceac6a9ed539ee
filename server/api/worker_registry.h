// The workers that were heard of lately, and those that get no jobs. What is drained is in the job
// store; this keeps a copy, since every poll and heartbeat asks.
#pragma once

#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/container/flat_hash_map.h"
#include "absl/functional/function_ref.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "likeness/v1/model.pb.h"
#include "likeness/v1/operator_service.pb.h"
#include "likeness/v1/worker_service.pb.h"
#include "server/jobs/job_store.h"

namespace likeness::server {

// What is offered now, as WorkerRegistry::BaseModels has it.
using OfferedBaseModels = std::function<absl::StatusOr<std::vector<v1::BaseModel>>()>;

// Thread-safe.
class WorkerRegistry {
 public:
  // `jobs` must outlive this. A worker that lives is heard of again within `lease_duration` of its
  // heartbeat, or of the end of its poll.
  WorkerRegistry(JobStore& jobs, absl::Duration lease_duration)
      : jobs_(jobs), lease_duration_(lease_duration) {}

  // Reads what is drained.
  absl::Status Load();

  // A worker asks for a job. `now` by date.
  void Asked(const v1::AcquireLeaseRequest& request, absl::Time now);

  // A worker sends a heartbeat, by which it goes on to offer the base models that it offered when
  // it asked. `device_of_job`: the device of the job that it runs, asked for if the worker has
  // neither asked nor been heard of since the server started.
  void Heard(const std::string& worker, absl::FunctionRef<std::string()> device_of_job,
             absl::Time now);

  // The newest revision of the specs that one of the workers knows which asked within ten minutes
  // of `now` or run a job. Nothing if there is none, or if one of them is not known to this.
  std::optional<int> NewestSpecRevision(absl::Time now) const;

  // Whether a worker that was heard of since `since` and offers the base model judges by all of
  // these measures.
  bool OffersJudge(const std::string& base, const std::vector<v1::Measure>& measures,
                   absl::Time since) const;

  // Whether a worker that asked within ten minutes of `now`, or runs a job, has what is required.
  // True too where it is not known what one of them has.
  bool MayMeet(const v1::Requirements& requirements, absl::Time now) const;

  // Whether a worker that was heard of since `since` and offers the base model, any if it is empty,
  // has the network (common/networks.h). True too where it is not known what one of them has, as
  // after a restart.
  bool MayHaveNetwork(const std::string& base, absl::string_view method, absl::Time since) const;

  // JobStore::BaseModels, each with the evaluators and measures of all workers that offer it and
  // were heard of since `since`: what the store keeps is the offer of the worker which asked last.
  absl::StatusOr<std::vector<v1::BaseModel>> BaseModels(absl::Time since) const;

  // Nothing for a worker that gets jobs.
  std::optional<DrainedWorker> FindDrained(const std::string& worker) const;

  // Durable before they return.
  absl::Status Drain(const DrainedWorker& worker);
  absl::Status Undrain(const std::string& worker);

  // By name: those that were heard of within ten minutes of `now`, run a job, or are drained. The
  // state of one that should have been heard of since is not known.
  absl::StatusOr<std::vector<v1::Worker>> List(absl::Time now) const;

 private:
  void AddJudges(absl::Time since, v1::BaseModel& offer) const;
  struct Seen {
    v1::Worker worker;  // as it said, without state and jobs
    int spec_revision = 0;
    std::vector<v1::BaseModel> offers;          // by name, digest, evaluators and measures alone
    std::vector<std::string> networks;          // of its methods those of common/networks.h
    absl::Time offered = absl::InfinitePast();  // when the job store was told of them last
    absl::Time asked = absl::InfinitePast();    // for a job, since the server started
    absl::Time heard = absl::InfinitePast();    // when it asked or sent a heartbeat last
    absl::Time due = absl::InfinitePast();  // when it is heard of again at the latest, if it lives
  };
  void OfferAgain(const std::vector<v1::BaseModel>& offers);
  // Whether there is room for one more worker. Those not heard of for long make room.
  bool MakeRoom(absl::Time now) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  JobStore& jobs_;
  const absl::Duration lease_duration_;
  mutable std::mutex mutex_;
  absl::flat_hash_map<std::string, Seen> seen_ ABSL_GUARDED_BY(mutex_);
  absl::flat_hash_map<std::string, DrainedWorker> drained_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace likeness::server

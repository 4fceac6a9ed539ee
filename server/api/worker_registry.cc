#include "server/api/worker_registry.h"

#include <algorithm>
#include <set>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/logging.h"
#include "common/spec_revision.h"
#include "common/status_macros.h"
#include "server/jobs/measures_needed.h"
#include "server/jobs/proto_time.h"

namespace likeness::server {
namespace {

constexpr absl::Duration kSeenFor = absl::Minutes(10);
constexpr size_t kMostSeen = 20'000;
constexpr int kMostRunning = 20'000;

v1::Worker Describe(const v1::AcquireLeaseRequest& request) {
  v1::Worker worker;
  worker.set_name(absl::StrCat("workers/", request.worker()));
  worker.set_device(request.device());
  worker.set_device_memory_bytes(request.device_memory_bytes());
  *worker.mutable_labels() = request.labels();
  worker.set_instance(request.instance());
  worker.set_version(request.version());
  worker.set_rehearsal(request.rehearsal());
  for (const v1::BaseModel& model : request.base_models()) worker.add_base_models(model.name());
  return worker;
}

std::vector<v1::BaseModel> JudgesOf(const v1::AcquireLeaseRequest& request) {
  std::vector<v1::BaseModel> judges;
  for (const v1::BaseModel& model : request.base_models()) {
    if (model.measures().empty()) continue;
    v1::BaseModel& judge = judges.emplace_back();
    judge.set_name(model.name());
    *judge.mutable_evaluators() = model.evaluators();
    *judge.mutable_measures() = model.measures();
  }
  return judges;
}

v1::WorkerState StateOf(const v1::Worker& worker, bool drained) {
  if (worker.jobs().empty()) return drained ? v1::WORKER_STATE_DRAINED : v1::WORKER_STATE_IDLE;
  return drained ? v1::WORKER_STATE_DRAINING : v1::WORKER_STATE_RUNNING;
}

}  // namespace

absl::Status WorkerRegistry::Load() {
  ASSIGN_OR_RETURN(auto drained, jobs_.DrainedWorkers());
  std::lock_guard lock(mutex_);
  for (DrainedWorker& worker : drained) {
    std::string name = worker.worker;
    drained_[std::move(name)] = std::move(worker);
  }
  return absl::OkStatus();
}

void WorkerRegistry::Asked(const v1::AcquireLeaseRequest& request, absl::Time now) {
  std::lock_guard lock(mutex_);
  const auto known = seen_.find(request.worker());
  // One run of the program says the same each time.
  if (known != seen_.end() && !request.instance().empty() &&
      known->second.worker.instance() == request.instance()) {
    known->second.asked = now;
    return;
  }
  if (seen_.size() >= kMostSeen) ForgetBefore(now - kSeenFor);
  if (seen_.size() >= kMostSeen) return;
  seen_[request.worker()] = {Describe(request), request.spec_revision(), JudgesOf(request), now};
}

std::optional<int> WorkerRegistry::NewestSpecRevision(absl::Time now) const {
  std::optional<int> newest;
  {
    std::lock_guard lock(mutex_);
    for (const auto& [name, seen] : seen_) {
      if (seen.asked >= now - kSeenFor) newest = std::max(newest.value_or(0), seen.spec_revision);
    }
  }
  if (newest >= kSpecRevision) return newest;
  const auto running = jobs_.HeldJobs(kMostRunning);  // who works does not ask
  if (!running.ok()) {
    LogWarning("workers with jobs not read", {{"error", running.status().message()}});
    return std::nullopt;
  }
  std::lock_guard lock(mutex_);
  for (const HeldJob& job : *running) {
    const auto seen = seen_.find(job.worker);
    if (seen == seen_.end()) return std::nullopt;  // asked another run of the server
    newest = std::max(newest.value_or(0), seen->second.spec_revision);
  }
  return newest;
}

bool WorkerRegistry::OffersJudge(const std::string& base, const std::vector<v1::Measure>& measures,
                                 absl::Time since) const {
  std::lock_guard lock(mutex_);
  return std::any_of(seen_.begin(), seen_.end(), [&](const auto& entry) {
    const Seen& seen = entry.second;
    if (seen.asked < since) return false;
    return std::any_of(seen.judges.begin(), seen.judges.end(), [&](const v1::BaseModel& offer) {
      return offer.name() == base && MeasuresAll(offer, measures);
    });
  });
}

absl::StatusOr<std::vector<v1::BaseModel>> WorkerRegistry::BaseModels(absl::Time since) const {
  ASSIGN_OR_RETURN(auto models, jobs_.BaseModels());
  for (v1::BaseModel& model : models) AddJudges(since, model);
  return models;
}

void WorkerRegistry::AddJudges(absl::Time since, v1::BaseModel& offer) const {
  std::set<std::string> evaluators(offer.evaluators().begin(), offer.evaluators().end());
  std::set<int> measures(offer.measures().begin(), offer.measures().end());
  {
    std::lock_guard lock(mutex_);
    for (const auto& [name, seen] : seen_) {
      if (seen.asked < since) continue;
      for (const v1::BaseModel& judge : seen.judges) {
        if (judge.name() != offer.name()) continue;
        evaluators.insert(judge.evaluators().begin(), judge.evaluators().end());
        measures.insert(judge.measures().begin(), judge.measures().end());
      }
    }
  }
  offer.mutable_evaluators()->Assign(evaluators.begin(), evaluators.end());
  offer.mutable_measures()->Assign(measures.begin(), measures.end());
}

void WorkerRegistry::ForgetBefore(absl::Time time) {
  absl::erase_if(seen_, [&](const auto& entry) { return entry.second.asked < time; });
}

std::optional<DrainedWorker> WorkerRegistry::FindDrained(const std::string& worker) const {
  std::lock_guard lock(mutex_);
  const auto found = drained_.find(worker);
  if (found == drained_.end()) return std::nullopt;
  return found->second;
}

absl::Status WorkerRegistry::Drain(const DrainedWorker& worker) {
  RETURN_IF_ERROR(jobs_.DrainWorker(worker));
  std::lock_guard lock(mutex_);
  drained_[worker.worker] = worker;
  return absl::OkStatus();
}

absl::Status WorkerRegistry::Undrain(const std::string& worker) {
  RETURN_IF_ERROR(jobs_.UndrainWorker(worker));
  std::lock_guard lock(mutex_);
  drained_.erase(worker);
  return absl::OkStatus();
}

absl::StatusOr<std::vector<v1::Worker>> WorkerRegistry::List(absl::Time now) const {
  ASSIGN_OR_RETURN(const auto running, jobs_.HeldJobs(kMostRunning));
  std::map<std::string, v1::Worker> workers;
  std::lock_guard lock(mutex_);
  for (const auto& [name, seen] : seen_) {
    if (seen.asked < now - kSeenFor) continue;
    v1::Worker& worker = workers[name] = seen.worker;
    *worker.mutable_last_poll_time() = ToProto(seen.asked);
  }
  for (const HeldJob& job : running) {
    v1::Worker& worker = workers[job.worker];
    if (worker.name().empty()) {  // it has not asked for long, since it works
      const auto seen = seen_.find(job.worker);
      if (seen != seen_.end()) {
        worker = seen->second.worker;
        *worker.mutable_last_poll_time() = ToProto(seen->second.asked);
      }
      worker.set_name(absl::StrCat("workers/", job.worker));
    }
    worker.add_jobs(job.name.ToString());
  }
  for (const auto& [name, drained] : drained_) {  // those that are away, too
    workers[name].set_name(absl::StrCat("workers/", name));
  }
  std::vector<v1::Worker> list;
  for (auto& [name, worker] : workers) {
    worker.set_state(StateOf(worker, drained_.contains(name)));
    list.push_back(std::move(worker));
  }
  return list;
}

}  // namespace likeness::server

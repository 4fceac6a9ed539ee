#include "server/api/worker_registry.h"

#include <algorithm>
#include <set>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/logging.h"
#include "common/networks.h"
#include "common/spec_revision.h"
#include "common/status_macros.h"
#include "server/jobs/measures_needed.h"
#include "server/jobs/proto_time.h"

namespace likeness::server {
namespace {

constexpr absl::Duration kSeenFor = absl::Minutes(10);
constexpr absl::Duration kOfferInterval = absl::Minutes(1);  // between what heartbeats offer
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

std::vector<v1::BaseModel> OffersOf(const v1::AcquireLeaseRequest& request) {
  std::vector<v1::BaseModel> offers;
  for (const v1::BaseModel& model : request.base_models()) {
    v1::BaseModel& offer = offers.emplace_back();
    offer.set_name(model.name());
    offer.set_digest(model.digest());
    *offer.mutable_evaluators() = model.evaluators();
    *offer.mutable_measures() = model.measures();
  }
  return offers;
}

std::vector<std::string> NetworksOf(const v1::AcquireLeaseRequest& request) {
  std::vector<std::string> networks;
  for (const std::string& method : request.methods()) {
    if (IsNetwork(method)) networks.push_back(method);
  }
  return networks;
}

v1::WorkerState StateOf(const v1::Worker& worker, bool drained, bool gone) {
  if (!worker.jobs().empty()) {
    return drained ? v1::WORKER_STATE_DRAINING : v1::WORKER_STATE_RUNNING;
  }
  if (drained) return v1::WORKER_STATE_DRAINED;
  return gone ? v1::WORKER_STATE_UNSPECIFIED : v1::WORKER_STATE_IDLE;
}

bool Meets(const v1::Worker& worker, const v1::Requirements& requirements) {
  return worker.device_memory_bytes() >= requirements.min_device_memory_bytes() &&
         std::all_of(requirements.labels().begin(), requirements.labels().end(),
                     [&](const auto& label) {
                       const auto found = worker.labels().find(label.first);
                       return found != worker.labels().end() && found->second == label.second;
                     });
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
  const absl::Time due = now + FromProto(request.wait()) + lease_duration_;
  std::lock_guard lock(mutex_);
  const auto known = seen_.find(request.worker());
  // One run of the program says the same each time.
  if (known != seen_.end() && !request.instance().empty() &&
      known->second.worker.instance() == request.instance()) {
    known->second.offered = known->second.asked = known->second.heard = now;
    known->second.due = due;
    return;
  }
  if (!MakeRoom(now)) return;
  seen_[request.worker()] = {.worker = Describe(request),
                             .spec_revision = request.spec_revision(),
                             .offers = OffersOf(request),
                             .networks = NetworksOf(request),
                             .offered = now,
                             .asked = now,
                             .heard = now,
                             .due = due};
}

void WorkerRegistry::Heard(const std::string& worker,
                           absl::FunctionRef<std::string()> device_of_job, absl::Time now) {
  const absl::Time due = now + lease_duration_;
  const auto note = [&](Seen& seen) {
    seen.heard = std::max(seen.heard, now);
    seen.due = std::max(seen.due, due);
  };
  bool is_known = false;
  std::vector<v1::BaseModel> offers;
  {
    std::lock_guard lock(mutex_);
    if (const auto known = seen_.find(worker); known != seen_.end()) {
      is_known = true;
      note(known->second);
      if (now - known->second.offered >= kOfferInterval) {
        known->second.offered = now;
        offers = known->second.offers;
      }
    }
  }
  if (!offers.empty()) OfferAgain(offers);
  if (is_known) return;
  Seen unknown;
  unknown.worker.set_name(absl::StrCat("workers/", worker));
  unknown.worker.set_device(device_of_job());
  std::lock_guard lock(mutex_);
  if (MakeRoom(now)) note(seen_.try_emplace(worker, std::move(unknown)).first->second);
}

void WorkerRegistry::OfferAgain(const std::vector<v1::BaseModel>& offers) {
  auto offered = jobs_.BaseModels();
  auto told = offered.status();
  if (offered.ok()) {
    std::vector<v1::BaseModel> again;
    for (v1::BaseModel& model : *offered) {
      const bool own = std::any_of(offers.begin(), offers.end(), [&](const v1::BaseModel& offer) {
        return offer.name() == model.name() && offer.digest() == model.digest();
      });
      if (!own) continue;
      model.clear_last_offered_time();
      again.push_back(std::move(model));
    }
    told = jobs_.OfferBaseModels(again);
  }
  if (!told.ok()) LogWarning("base models not offered again", {{"error", told.message()}});
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
    // It asked another run of the server.
    if (seen == seen_.end() || seen->second.asked == absl::InfinitePast()) return std::nullopt;
    newest = std::max(newest.value_or(0), seen->second.spec_revision);
  }
  return newest;
}

bool WorkerRegistry::MayMeet(const v1::Requirements& requirements, absl::Time now) const {
  if (requirements.labels().empty() && requirements.min_device_memory_bytes() == 0) return true;
  {
    std::lock_guard lock(mutex_);
    for (const auto& [name, seen] : seen_) {
      if (seen.asked >= now - kSeenFor && Meets(seen.worker, requirements)) return true;
    }
  }
  const auto running = jobs_.HeldJobs(kMostRunning);  // who works does not ask
  if (!running.ok()) return true;
  std::lock_guard lock(mutex_);
  return std::any_of(running->begin(), running->end(), [&](const HeldJob& job) {
    const auto seen = seen_.find(job.worker);
    return seen == seen_.end() || seen->second.asked == absl::InfinitePast() ||
           Meets(seen->second.worker, requirements);
  });
}

bool WorkerRegistry::OffersJudge(const std::string& base, const std::vector<v1::Measure>& measures,
                                 absl::Time since) const {
  std::lock_guard lock(mutex_);
  return std::any_of(seen_.begin(), seen_.end(), [&](const auto& entry) {
    const Seen& seen = entry.second;
    if (seen.heard < since) return false;
    return std::any_of(seen.offers.begin(), seen.offers.end(), [&](const v1::BaseModel& offer) {
      return offer.name() == base && MeasuresAll(offer, measures);
    });
  });
}

bool WorkerRegistry::MayHaveNetwork(const std::string& base, absl::string_view method,
                                    absl::Time since) const {
  bool without = false;  // there is one that has it not
  {
    std::lock_guard lock(mutex_);
    for (const auto& [name, seen] : seen_) {
      if (seen.heard < since) continue;
      if (seen.asked == absl::InfinitePast()) return true;  // it asked another run of the server
      const bool offers =
          base.empty() || std::any_of(seen.offers.begin(), seen.offers.end(),
                                      [&](const auto& offer) { return offer.name() == base; });
      if (!offers) continue;
      const auto& networks = seen.networks;
      if (std::find(networks.begin(), networks.end(), method) != networks.end()) return true;
      without = true;
    }
  }
  if (!without) return true;
  const auto running = jobs_.HeldJobs(kMostRunning);  // who works does not ask
  if (!running.ok()) return true;
  std::lock_guard lock(mutex_);
  return std::any_of(running->begin(), running->end(),
                     [&](const HeldJob& job) { return !seen_.contains(job.worker); });
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
      if (seen.heard < since) continue;
      for (const v1::BaseModel& own : seen.offers) {
        if (own.name() != offer.name() || own.measures().empty()) continue;
        evaluators.insert(own.evaluators().begin(), own.evaluators().end());
        measures.insert(own.measures().begin(), own.measures().end());
      }
    }
  }
  offer.mutable_evaluators()->Assign(evaluators.begin(), evaluators.end());
  offer.mutable_measures()->Assign(measures.begin(), measures.end());
}

bool WorkerRegistry::MakeRoom(absl::Time now) {
  if (seen_.size() < kMostSeen) return true;
  absl::erase_if(seen_, [&](const auto& entry) { return entry.second.heard < now - kSeenFor; });
  return seen_.size() < kMostSeen;
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
    if (seen.heard < now - kSeenFor) continue;
    v1::Worker& worker = workers[name] = seen.worker;
    *worker.mutable_last_poll_time() = ToProto(seen.heard);
  }
  for (const HeldJob& job : running) {
    v1::Worker& worker = workers[job.worker];
    if (worker.name().empty()) {  // not heard of for long, though its lease has not run out
      const auto seen = seen_.find(job.worker);
      if (seen != seen_.end()) {
        worker = seen->second.worker;
        *worker.mutable_last_poll_time() = ToProto(seen->second.heard);
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
    const auto seen = seen_.find(name);
    const bool gone = seen != seen_.end() && seen->second.due < now;
    worker.set_state(StateOf(worker, drained_.contains(name), gone));
    list.push_back(std::move(worker));
  }
  return list;
}

}  // namespace likeness::server

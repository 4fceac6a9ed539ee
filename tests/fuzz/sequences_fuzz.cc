// Calls one after the other, in this process and below gRPC, against what must hold of jobs
// whatever they are: states follow each other as job.proto says, events have no gap, a lease's
// token is good for nothing once there is a later one, what has ended stays as it is until it is
// retried or deleted.
//
// There are four jobs, "j0" to "j3": the last byte of a job_id or a name chooses one. A lease_token
// of "0" to "3" stands for that of the last lease of that job, others are taken as they are.
#include <algorithm>
#include <array>
#include <map>
#include <memory>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/ids.h"
#include "google/protobuf/duration.pb.h"
#include "likeness/v1/model_service.pb.h"
#include "server/api/unknown_fields.h"
#include "server/api/worker_checks.h"
#include "server/jobs/job_filter.h"
#include "server/jobs/job_state.h"
#include "tests/fuzz/queue.h"
#include "tests/fuzz/sequences.h"

namespace likeness::server {
namespace {

using fuzz::Check;
using fuzz::Queue;
using google::protobuf::Message;

constexpr int kJobs = 4;
constexpr int64_t kLongestSleep = 3 * 3600;  // seconds
constexpr int kInputs = 2000;                // on one store, which would only grow

// What is known of one job from the steps so far.
struct Known {
  std::string uid;
  v1::JobState state = v1::JOB_STATE_UNSPECIFIED;
  int64_t last_seq = 0;
  int attempt = 0;
};

class Run {
 public:
  explicit Run(Queue& queue) : queue_(queue) {}

  void Do(const fuzz::Step& step) {
    FillIn(*step.message);
    deleted_ = false;
    const absl::Status status = Call(step);
    Check(!fuzz::IsOurs(status),
          absl::StrCat("step ", int{step.kind}, " answered ", status.ToString()));
    for (int job = 0; job < kJobs; ++job) Look(job);
  }

  // Nothing is left of it.
  void CleanUp() {
    queue_.clock.Advance(absl::Hours(24));
    (void)queue_.jobs->ExpireLeases();
    for (int job = 0; job < kJobs; ++job) {
      (void)queue_.jobs->Cancel(NameOf(job), "");
      (void)queue_.jobs->Delete(NameOf(job), "");
    }
    const auto models = queue_.jobs->ListModels("default", "", 100);
    for (const v1::Model& model : models->models) {
      (void)queue_.jobs->DeleteModel(*ParseModelName(model.name()));
    }
  }

 private:
  static JobName NameOf(int job) { return {"default", absl::StrCat("j", job)}; }
  static int JobOf(const std::string& text) {
    return text.empty() ? 0 : static_cast<uint8_t>(text.back()) % kJobs;
  }

  void FillIn(Message& message) {
    const auto& reflection = *message.GetReflection();
    const auto replace = [&](const char* field_name, auto&& with) {
      const auto* field = message.GetDescriptor()->FindFieldByName(field_name);
      if (field == nullptr) return;
      reflection.SetString(&message, field, with(reflection.GetString(message, field)));
    };
    replace("job_id", [](const std::string& said) { return NameOf(JobOf(said)).id; });
    const bool of_job = message.GetDescriptor()->name().find("Job") != std::string::npos;
    if (of_job) replace("name", [](const auto& said) { return NameOf(JobOf(said)).ToString(); });
    replace("lease_token", [this](const std::string& said) {
      return said.size() == 1 ? tokens_[JobOf(said)] : said;
    });
  }

  absl::Status Call(const fuzz::Step& step) {
    JobStore& jobs = *queue_.jobs;
    if (auto known = RefuseUnknownFields(*step.message); !known.ok()) return known;
    switch (step.kind) {
      case fuzz::kCreate:
        return queue_.admission->Create("default", As<v1::CreateJobRequest>(step)).status();
      case fuzz::kGet:
        return jobs.Get(Named(As<v1::GetJobRequest>(step))).status();
      case fuzz::kCancel:
        return jobs
            .Cancel(Named(As<v1::CancelJobRequest>(step)), As<v1::CancelJobRequest>(step).etag())
            .status();
      case fuzz::kRetry:
        return queue_.admission
            ->Retry(Named(As<v1::RetryJobRequest>(step)), As<v1::RetryJobRequest>(step).etag())
            .status();
      case fuzz::kDelete: {
        const auto& request = As<v1::DeleteJobRequest>(step);
        auto status = jobs.Delete(Named(request), request.etag());
        deleted_ = status.ok();
        return status;
      }
      case fuzz::kList:
        return List(As<v1::ListJobsRequest>(step));
      case fuzz::kAcquire:
        return Acquire(As<v1::AcquireLeaseRequest>(step));
      case fuzz::kTime:
        return Pass(As<google::protobuf::Duration>(step));
      case fuzz::kGetModel:
        return Model(As<v1::GetModelRequest>(step).name(), false);
      case fuzz::kDeleteModel:
        return Model(As<v1::DeleteModelRequest>(step).name(), true);
      default:
        return UnderLease(step);
    }
  }

  template <typename Request>
  static const Request& As(const fuzz::Step& step) {
    return static_cast<const Request&>(*step.message);
  }

  template <typename Request>
  static JobName Named(const Request& request) {
    return *ParseJobName(request.name());
  }

  absl::Status List(const v1::ListJobsRequest& request) {
    const auto filter = ParseJobFilter(request.filter());
    const auto order = ParseJobOrder(request.order_by());
    if (!filter.ok() || !order.ok()) return absl::OkStatus();
    return queue_.jobs->List("default", {*filter, *order, std::nullopt, 50}).status();
  }

  absl::Status Model(const std::string& text, bool remove) {
    const auto name = ParseModelName(text);
    if (!name.ok() || name->is_base()) return absl::OkStatus();
    return remove ? queue_.jobs->DeleteModel(*name) : queue_.jobs->GetModel(*name).status();
  }

  // What the server does by itself as time goes by.
  absl::Status Pass(const google::protobuf::Duration& sleep) {
    const int64_t seconds = std::min(std::max(sleep.seconds(), int64_t{0}), kLongestSleep);
    queue_.clock.Advance(absl::Seconds(seconds));
    if (auto status = queue_.jobs->ExpireLeases().status(); !status.ok()) return status;
    return queue_.jobs->TimeOutJobs().status();
  }

  absl::Status Acquire(const v1::AcquireLeaseRequest& offer) {
    if (auto checked = CheckOffer(offer); !checked.ok()) return checked;
    auto lease = queue_.jobs->Acquire(offer);
    if (!lease.ok() || !*lease) return lease.status();
    const int job = JobOf((*lease)->job().name());
    Check((*lease)->job().attempt() == known_[job].attempt + 1, "a lease is another attempt");
    Check(!IsLeased(known_[job].state), "what is leased is leased to nobody else");
    if (!tokens_[job].empty()) stale_[tokens_[job]] = true;
    tokens_[job] = (*lease)->lease_token();
    return absl::OkStatus();
  }

  absl::Status UnderLease(const fuzz::Step& step) {
    const auto& reflection = *step.message->GetReflection();
    const std::string token = reflection.GetString(
        *step.message, step.message->GetDescriptor()->FindFieldByName("lease_token"));
    const auto leased = queue_.jobs->FindLease(token);
    if (!leased.ok()) return leased.status();
    Check(stale_.count(token) == 0, "an earlier lease's token is good for nothing");
    const std::string& tenant = leased->name.tenant;
    const auto checked_and = [](absl::Status checked, auto&& call) {
      return checked.ok() ? call() : checked;
    };
    switch (step.kind) {
      case fuzz::kHeartbeat: {
        const auto& news = As<v1::HeartbeatRequest>(step);
        return checked_and(CheckHeartbeat(news, tenant, *queue_.blobs),
                           [&] { return queue_.jobs->Renew(news).status(); });
      }
      case fuzz::kComplete: {
        const auto& outcome = As<v1::CompleteLeaseRequest>(step);
        return checked_and(CheckOutcome(outcome, tenant, *queue_.blobs),
                           [&] { return queue_.jobs->Complete(outcome); });
      }
      case fuzz::kFail: {
        const auto& failure = As<v1::FailLeaseRequest>(step);
        return checked_and(CheckFailure(failure), [&] { return queue_.jobs->Fail(failure); });
      }
      default:
        return queue_.jobs->Release(As<v1::ReleaseLeaseRequest>(step));
    }
  }

  // Holds a job against what was known of it.
  void Look(int job) {
    Known& known = known_[job];
    const auto snapshot = queue_.jobs->Snapshot(NameOf(job));
    if (!snapshot.ok()) {
      Check(absl::IsNotFound(snapshot.status()), "a job is there or not");
      Check(known.uid.empty() || (deleted_ && IsTerminal(known.state)),
            "only who deletes it loses it");
      known = {};
      return;
    }
    const v1::Job& now = snapshot->job;
    if (now.uid() != known.uid) {
      Check(known.uid.empty(), "a name is another job's only after it was free");
      known = {.uid = now.uid()};
    }
    const auto events = queue_.jobs->EventsAfter(NameOf(job), snapshot->key, known.last_seq, 1000);
    Check(events.ok(), "events can be read");
    for (const v1::JobEvent& event : *events) {
      Check(event.seq() == ++known.last_seq, "events have no gap");
      if (!event.has_state_change()) continue;
      Check(event.state_change().from() == known.state, "states follow each other");
      Check(CanBecome(known.state, event.state_change().to()), "as they may");
      known.state = event.state_change().to();
    }
    Check(known.last_seq == snapshot->last_seq, "a job is as of its last event");
    Check(known.state == now.state(), "a job is where its events led");
    Check(now.attempt() >= known.attempt, "attempts are counted up");
    Check(now.outputs().empty() || now.state() == v1::JOB_STATE_SUCCEEDED,
          "outputs come at the end");
    Check(now.has_end_time() == IsTerminal(now.state()), "what has ended has an end");
    known.attempt = now.attempt();
  }

  Queue& queue_;
  std::array<Known, kJobs> known_;
  std::array<std::string, kJobs> tokens_;  // of each job's last lease
  std::map<std::string, bool> stale_;
  bool deleted_ = false;  // in this step
};

}  // namespace
}  // namespace likeness::server

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  // Registers OpenSSL's clean-up at exit before the queue's, so that it comes after it: the queue's
  // threads have random state there.
  static const std::string first = likeness::RandomSecret();
  static std::unique_ptr<likeness::fuzz::Queue> queue;
  static int inputs = 0;
  if (!queue || ++inputs % likeness::server::kInputs == 0) {
    queue.reset();
    queue = std::make_unique<likeness::fuzz::Queue>();
  }
  likeness::server::Run run(*queue);
  for (const auto& step : likeness::fuzz::ReadSteps(likeness::fuzz::Text(data, size))) run.Do(step);
  run.CleanUp();
  return 0;
}

#include "server/metrics/metrics.h"

#include <algorithm>
#include <map>
#include <mutex>

#include "common/version.h"
#include "prometheus/counter.h"
#include "prometheus/gauge.h"
#include "prometheus/histogram.h"
#include "prometheus/registry.h"
#include "prometheus/text_serializer.h"
#include "server/auth/method_rules.h"
#include "server/jobs/job_methods.h"
#include "server/jobs/job_state.h"
#include "server/jobs/policies/choice.h"
#include "server/webhooks/delivery.h"

namespace likeness::server {
namespace {

constexpr const char* kRefusals[] = {"TOKEN_MISSING",     "TOKEN_INVALID",  "ROLE_MISSING",
                                     "TOO_MANY_FAILURES", "TOO_MANY_CALLS", "RATE_LIMITED",
                                     "QUOTA_EXCEEDED"};
using Snapshot = Metrics::Snapshot;

// A limit as the auth file names it, and how many tenants have reached it.
struct TenantLimit {
  const char* name;
  int64_t (*reached)(const Snapshot&);
};
constexpr TenantLimit kTenantLimits[] = {
    {"max_pending_jobs", [](const Snapshot& s) { return s.tenants_at_quota.max_pending_jobs; }},
    {"max_running_jobs", [](const Snapshot& s) { return s.tenants_at_quota.max_running_jobs; }},
    {"max_stored_bytes", [](const Snapshot& s) { return s.tenants_at_stored_bytes; }},
    {"worker_seconds_per_day",
     [](const Snapshot& s) { return s.tenants_at_quota.worker_time_per_day; }},
    {"worker_seconds_per_month",
     [](const Snapshot& s) { return s.tenants_at_quota.worker_time_per_month; }}};
constexpr int kCodes = 17;  // OK to UNAUTHENTICATED

using Buckets = prometheus::Histogram::BucketBoundaries;
const Buckets kRpcSeconds = {0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1,
                             0.25,   0.5,   1,      2.5,   10,   60,    600};
const Buckets kWaitSeconds = {0.1, 0.5, 1, 5, 15, 60, 300, 900, 3600, 14400, 86400};
const Buckets kCallSeconds = {0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10};
const Buckets kRunSeconds = {1, 5, 15, 60, 300, 900, 1800, 3600, 7200, 14400, 43200, 86400};
const Buckets kStoreSeconds = {0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01,
                               0.025,  0.05,    0.1,    0.25,  0.5,    1,     5};
const Buckets kLagSeconds = {0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 5, 30};

constexpr char kOther[] = "other";

// What is measured for each value of a label that this program knows, and for all others together:
// a newer server may have stored methods and states that this one has never heard of.
template <typename Measure>
class ByLabel {
 public:
  // Adds a value: the first time it is asked for, while the metrics are made.
  Measure& Make(absl::string_view value) { return measures_[std::string(value)]; }
  // Make(kOther) must have been called.
  Measure& operator[](absl::string_view value) {
    const auto found = measures_.find(value);
    return found != measures_.end() ? found->second : measures_.find(kOther)->second;
  }
  auto begin() { return measures_.begin(); }
  auto end() { return measures_.end(); }

 private:
  std::map<std::string, Measure, std::less<>> measures_;
};

// Of one method of the API.
struct RpcMeasures {
  prometheus::Histogram* seconds;
  std::vector<prometheus::Counter*> total;  // by code
  prometheus::Counter* failures;
  prometheus::Gauge* under_way;
};

// Of jobs in one state, of one method.
struct JobMeasures {
  prometheus::Gauge* jobs;
  prometheus::Counter* transitions;
  prometheus::Histogram* run_seconds;  // null unless jobs end in this state
};

// Of the waiting jobs of one method.
struct QueueMeasures {
  std::map<int, prometheus::Gauge*> may_start;  // by priority, each from the lowest to the highest
  prometheus::Gauge* scheduled;
  prometheus::Gauge* over_quota;
};

std::vector<absl::string_view> MethodLabels() {
  std::vector<absl::string_view> labels(JobMethods().begin(), JobMethods().end());
  labels.push_back(kOther);
  return labels;
}

}  // namespace

struct Metrics::Families {
  prometheus::Registry registry;
  std::mutex page;                     // held while gauges are set and read for one scrape
  ByLabel<RpcMeasures> rpcs;           // by method of the API
  ByLabel<ByLabel<JobMeasures>> jobs;  // by StateLabel and the job's method
  ByLabel<QueueMeasures> queue;        // by the job's method
  prometheus::Histogram* queue_wait;
  std::vector<prometheus::Histogram*> store_seconds;  // by operation
  prometheus::Histogram* event_lag;
  prometheus::Counter* leases_lost;
  prometheus::Counter* uploaded;
  std::map<std::string, prometheus::Counter*, std::less<>> refusals;  // by reason
  prometheus::Counter* downloaded;
  prometheus::Gauge* blob_bytes;
  prometheus::Gauge* damaged_blobs;
  prometheus::Gauge* damaged_pages;
  prometheus::Gauge* audit_lines;
  prometheus::Counter* collected_blobs;
  prometheus::Counter* collected_bytes;
  prometheus::Counter* scrubbed_bytes;
  prometheus::Gauge* disk_free_bytes;
  prometheus::Gauge* ready;
  std::map<std::string, prometheus::Counter*, std::less<>> webhook_calls;  // by outcome
  prometheus::Histogram* webhook_seconds;
  prometheus::Counter* webhooks_given_up;
  prometheus::Counter* webhooks_dropped;
  prometheus::Gauge* webhooks_waiting;
  std::vector<prometheus::Gauge*> tenants_at_quota;  // by kTenantLimits

  template <typename Builder>
  auto& Family(Builder builder, const char* name, const char* help) {
    return builder.Name(name).Help(help).Register(registry);
  }

  void MakeRpc() {
    auto& seconds = Family(prometheus::BuildHistogram(), "likeness_rpc_duration_seconds",
                           "Time from a call's arrival to its end, by method.");
    auto& total = Family(prometheus::BuildCounter(), "likeness_rpc_total",
                         "Calls that ended, by method and status code.");
    auto& failures = Family(prometheus::BuildCounter(), "likeness_rpc_failures_total",
                            "Calls that failed by the server's own fault, by method.");
    auto& under_way = Family(prometheus::BuildGauge(), "likeness_rpc_under_way",
                             "Calls that have begun and not ended, by method.");
    std::vector<absl::string_view> methods = {kOther};
    for (const MethodRule& rule : MethodRules()) methods.push_back(rule.method);
    for (const absl::string_view name : methods) {
      const std::string method(name);
      RpcMeasures& rpc = rpcs.Make(method);
      rpc.failures = &failures.Add({{"method", method}});
      rpc.under_way = &under_way.Add({{"method", method}});
      rpc.seconds = &seconds.Add({{"method", method}}, kRpcSeconds);
      for (int code = 0; code < kCodes; ++code) {
        const auto label = absl::StatusCodeToString(static_cast<absl::StatusCode>(code));
        rpc.total.push_back(&total.Add({{"method", method}, {"code", label}}));
      }
    }
  }

  void MakeJobs() {
    auto& gauge = Family(prometheus::BuildGauge(), "likeness_jobs", "Jobs, by state and method.");
    auto& counter = Family(prometheus::BuildCounter(), "likeness_job_transitions_total",
                           "Jobs that came into a state, by state and method.");
    auto& run = Family(prometheus::BuildHistogram(), "likeness_job_run_seconds",
                       "Time that workers had a job until it ended, by the state it ended in.");
    const auto make = [&](const std::string& state, bool ends) {
      for (const absl::string_view name : MethodLabels()) {
        const prometheus::Labels labels = {{"state", state}, {"method", std::string(name)}};
        jobs.Make(state).Make(name) = {&gauge.Add(labels), &counter.Add(labels),
                                       ends ? &run.Add(labels, kRunSeconds) : nullptr};
      }
    };
    for (const v1::JobState state : kJobStates) make(StateLabel(state), IsTerminal(state));
    make(kOther, false);
  }

  void MakeQueue() {
    auto& may_start = Family(prometheus::BuildGauge(), "likeness_queue_jobs",
                             "Jobs that wait for a worker alone, by method and the priority they "
                             "were given.");
    auto& held = Family(prometheus::BuildGauge(), "likeness_queue_held_jobs",
                        "Jobs that wait and may not start yet, by method and reason.");
    for (const absl::string_view name : MethodLabels()) {
      const std::string method(name);
      QueueMeasures& measures = queue.Make(method);
      for (int priority = kLowestPriority; priority <= kHighestPriority; ++priority) {
        measures.may_start[priority] =
            &may_start.Add({{"method", method}, {"priority", std::to_string(priority)}});
      }
      measures.scheduled = &held.Add({{"method", method}, {"reason", "scheduled"}});
      measures.over_quota = &held.Add({{"method", method}, {"reason", "quota"}});
    }
  }

  void ShowJobs(const std::vector<JobCount>& counts) {
    for (auto& [state, methods] : jobs) {
      for (auto& [method, measures] : methods) measures.jobs->Set(0);
    }
    for (auto& [method, measures] : queue) {
      for (auto& [priority, gauge] : measures.may_start) gauge->Set(0);
      measures.scheduled->Set(0);
      measures.over_quota->Set(0);
    }
    for (const JobCount& row : counts) {
      jobs[StateLabel(row.state)][row.method].jobs->Increment(static_cast<double>(row.count));
      if (row.state != v1::JOB_STATE_PENDING) continue;
      QueueMeasures& measures = queue[row.method];
      const int priority = std::clamp(row.priority, kLowestPriority, kHighestPriority);
      measures.may_start[priority]->Increment(
          static_cast<double>(row.count - row.scheduled - row.over_quota));
      measures.scheduled->Increment(static_cast<double>(row.scheduled));
      measures.over_quota->Increment(static_cast<double>(row.over_quota));
    }
  }

  void MakeStore() {
    auto& seconds = Family(prometheus::BuildHistogram(), "likeness_store_duration_seconds",
                           "How long the job store took, by operation.");
    for (const char* operation : kStoreOperations) {
      store_seconds.push_back(&seconds.Add({{"operation", operation}}, kStoreSeconds));
    }
  }

  void MakeWebhooks() {
    auto& calls = Family(prometheus::BuildCounter(), "likeness_webhook_calls_total",
                         "Attempts to call a webhook, by outcome.");
    for (const char* outcome : kWebhookOutcomes) {
      webhook_calls[outcome] = &calls.Add({{"outcome", outcome}});
    }
    webhook_seconds =
        &Family(prometheus::BuildHistogram(), "likeness_webhook_call_duration_seconds",
                "How long an attempt to call a webhook took.")
             .Add({}, kCallSeconds);
    webhooks_given_up = &Family(prometheus::BuildCounter(), "likeness_webhook_calls_given_up_total",
                                "Calls to webhooks that were given up after their last attempt.")
                             .Add({});
    webhooks_dropped = &Family(prometheus::BuildCounter(), "likeness_webhook_calls_dropped_total",
                               "Calls to webhooks that made room for later ones of their tenant.")
                            .Add({});
    webhooks_waiting = &Family(prometheus::BuildGauge(), "likeness_webhook_calls_waiting",
                               "Calls to webhooks that wait to be made, or to be made again.")
                            .Add({});
  }

  void MakeOthers() {
    queue_wait = &Family(prometheus::BuildHistogram(), "likeness_job_queue_wait_seconds",
                         "Time that a job was ready and waited for a worker.")
                      .Add({}, kWaitSeconds);
    event_lag = &Family(prometheus::BuildHistogram(), "likeness_event_lag_seconds",
                        "Time from an event's commit until it was handed to a watching client.")
                     .Add({}, kLagSeconds);
    leases_lost = &Family(prometheus::BuildCounter(), "likeness_leases_lost_total",
                          "Leases that ran out because their worker sent no heartbeat.")
                       .Add({});
    uploaded = &Family(prometheus::BuildCounter(), "likeness_uploaded_bytes_total",
                       "Bytes received by ByteStream.Write.")
                    .Add({});
    auto& refused = Family(prometheus::BuildCounter(), "likeness_refused_total",
                           "Calls refused for who called or how much they took, by reason.");
    for (const char* reason : kRefusals) refusals[reason] = &refused.Add({{"reason", reason}});
    auto& at_quota =
        Family(prometheus::BuildGauge(), "likeness_tenants_at_quota",
               "Tenants that have reached a limit, by its name: they are refused, or wait.");
    for (const TenantLimit& limit : kTenantLimits) {
      tenants_at_quota.push_back(&at_quota.Add({{"limit", limit.name}}));
    }
    downloaded = &Family(prometheus::BuildCounter(), "likeness_downloaded_bytes_total",
                         "Bytes handed to the network by ByteStream.Read.")
                      .Add({});
    blob_bytes =
        &Family(prometheus::BuildGauge(), "likeness_blob_bytes", "Bytes of all blobs.").Add({});
    damaged_blobs = &Family(prometheus::BuildGauge(), "likeness_damaged_blobs",
                            "Blobs set aside because their bytes changed on the disk.")
                         .Add({});
    damaged_pages = &Family(prometheus::BuildGauge(), "likeness_damaged_pages",
                            "Pages of the database found damaged since the start.")
                         .Add({});
    audit_lines = &Family(prometheus::BuildGauge(), "likeness_audit_lines_waiting",
                          "Lines about changes that the audit log does not have yet.")
                       .Add({});
    collected_blobs = &Family(prometheus::BuildCounter(), "likeness_collected_blobs_total",
                              "Blobs removed because nothing named them.")
                           .Add({});
    collected_bytes = &Family(prometheus::BuildCounter(), "likeness_collected_bytes_total",
                              "Bytes of blobs removed because nothing named them.")
                           .Add({});
    scrubbed_bytes = &Family(prometheus::BuildCounter(), "likeness_scrubbed_bytes_total",
                             "Bytes of blobs that the scrub has read.")
                          .Add({});
    disk_free_bytes = &Family(prometheus::BuildGauge(), "likeness_disk_free_bytes",
                              "Bytes left on the data directory's disk.")
                           .Add({});
    ready = &Family(prometheus::BuildGauge(), "likeness_ready",
                    "Whether the server can do its work, as /healthz says.")
                 .Add({});
    Family(prometheus::BuildGauge(), "likeness_build_info", "1; its labels say what is running.")
        .Add({{"version", Version()}})
        .Set(1);
  }
};

Metrics::Metrics() : families_(std::make_unique<Families>()) {
  families_->MakeRpc();
  families_->MakeJobs();
  families_->MakeQueue();
  families_->MakeStore();
  families_->MakeWebhooks();
  families_->MakeOthers();
}

Metrics::~Metrics() = default;

void Metrics::RpcBegins(absl::string_view method) {
  families_->rpcs[method].under_way->Increment();
}

void Metrics::ObserveRpc(absl::string_view method, absl::StatusCode code, absl::Duration took) {
  RpcMeasures& rpc = families_->rpcs[method];
  rpc.under_way->Decrement();
  rpc.seconds->Observe(absl::ToDoubleSeconds(took));
  const int index = static_cast<int>(code);
  rpc.total[index >= 0 && index < kCodes ? index : 2]->Increment();
}

void Metrics::ObserveFailure(absl::string_view method) {
  families_->rpcs[method].failures->Increment();
}

void Metrics::ObserveChange(const JobChange& change) {
  if (change.lease_lost) families_->leases_lost->Increment();
  families_->webhooks_dropped->Increment(change.webhook_calls_dropped);
  if (change.from == change.to) return;
  JobMeasures& measures = families_->jobs[StateLabel(change.to)][change.method];
  measures.transitions->Increment();
  if (change.to == v1::JOB_STATE_RUNNING) {
    families_->queue_wait->Observe(absl::ToDoubleSeconds(change.queue_wait));
  }
  if (measures.run_seconds && change.run_time > absl::ZeroDuration()) {
    measures.run_seconds->Observe(absl::ToDoubleSeconds(change.run_time));
  }
}

void Metrics::ObserveStore(StoreOperation operation, absl::Duration took) {
  families_->store_seconds[static_cast<size_t>(operation)]->Observe(absl::ToDoubleSeconds(took));
}

void Metrics::ObserveEventLag(absl::Duration lag) {
  families_->event_lag->Observe(absl::ToDoubleSeconds(lag));
}

void Metrics::ObserveUpload(int64_t bytes) {
  families_->uploaded->Increment(static_cast<double>(bytes));
}

void Metrics::ObserveCollected(const SweptBlobs& swept) {
  families_->collected_blobs->Increment(static_cast<double>(swept.blobs));
  families_->collected_bytes->Increment(static_cast<double>(swept.bytes));
}

void Metrics::ObserveScrubbed(int64_t bytes) {
  families_->scrubbed_bytes->Increment(static_cast<double>(bytes));
}

void Metrics::ObserveRefusal(absl::string_view reason) {
  const auto found = families_->refusals.find(reason);
  if (found != families_->refusals.end()) found->second->Increment();
}

void Metrics::ObserveWebhook(absl::string_view outcome, absl::Duration took) {
  const auto calls = families_->webhook_calls.find(outcome);
  if (calls != families_->webhook_calls.end()) calls->second->Increment();
  families_->webhook_seconds->Observe(absl::ToDoubleSeconds(took));
}

void Metrics::ObserveWebhookGivenUp() { families_->webhooks_given_up->Increment(); }

void Metrics::ObserveDownload(int64_t bytes) {
  families_->downloaded->Increment(static_cast<double>(bytes));
}

std::string Metrics::Page(const Snapshot& snapshot) {
  std::lock_guard lock(families_->page);
  families_->ShowJobs(snapshot.jobs);
  families_->blob_bytes->Set(static_cast<double>(snapshot.blob_bytes));
  families_->damaged_blobs->Set(static_cast<double>(snapshot.damaged_blobs));
  families_->audit_lines->Set(static_cast<double>(snapshot.audit_lines));
  families_->damaged_pages->Set(static_cast<double>(snapshot.damaged_pages));
  families_->disk_free_bytes->Set(static_cast<double>(snapshot.disk_free_bytes));
  families_->ready->Set(snapshot.ready ? 1 : 0);
  for (size_t i = 0; i < std::size(kTenantLimits); ++i) {
    families_->tenants_at_quota[i]->Set(static_cast<double>(kTenantLimits[i].reached(snapshot)));
  }
  families_->webhooks_waiting->Set(static_cast<double>(snapshot.webhook_calls));
  return prometheus::TextSerializer().Serialize(families_->registry.Collect());
}

}  // namespace likeness::server

#include "worker/wire/worker_metrics.h"

#include <prometheus/counter.h>
#include <prometheus/registry.h>
#include <prometheus/text_serializer.h>

#include <utility>

#include "absl/strings/str_cat.h"
#include "common/address.h"
#include "common/http_pages.h"
#include "common/job_phase.h"
#include "common/status_macros.h"
#include "worker/support/resident_memory.h"

namespace likeness {
namespace {

prometheus::Family<prometheus::Counter>& AddCounter(prometheus::Registry& registry,
                                                    const std::string& name,
                                                    const std::string& help) {
  return prometheus::BuildCounter().Name(name).Help(help).Register(registry);
}

prometheus::MetricFamily Gauge(const char* name, const char* help, double value) {
  prometheus::ClientMetric metric;
  metric.gauge.value = value;
  return {.name = name, .help = help, .type = prometheus::MetricType::Gauge, .metric = {metric}};
}

std::string MetricsPage(const prometheus::Registry& registry) {
  std::vector<prometheus::MetricFamily> families = registry.Collect();
  const ResidentMemory memory = ReadResidentMemory();
  families.push_back(Gauge("process_resident_memory_bytes", "Memory held now.", memory.now_bytes));
  families.push_back(Gauge("likeness_worker_peak_resident_memory_bytes", "Memory held at most.",
                           memory.peak_bytes));
  return prometheus::TextSerializer().Serialize(families);
}

}  // namespace

WorkerMetrics::WorkerMetrics()
    : registry_(std::make_unique<prometheus::Registry>()),
      jobs_(AddCounter(*registry_, "likeness_worker_jobs_total", "Leases ended, by outcome.")),
      steps_(AddCounter(*registry_, "likeness_worker_training_steps_total", "Optimizer steps.")
                 .Add({})),
      phase_seconds_(AddCounter(*registry_, "likeness_worker_phase_seconds_total",
                                "Time spent in the phases of jobs.")),
      lease_errors_(AddCounter(*registry_, "likeness_worker_lease_errors_total",
                               "Calls of the lease loop that failed.")
                        .Add({})) {}

WorkerMetrics::~WorkerMetrics() = default;

absl::StatusOr<std::unique_ptr<WorkerMetrics>> WorkerMetrics::Start(const std::string& address) {
  std::unique_ptr<WorkerMetrics> metrics(new WorkerMetrics);
  if (address.empty()) return metrics;
  ASSIGN_OR_RETURN(const Address parsed, ParsePageAddress("--metrics-address", address));
  auto pages = HttpPages::Start(parsed, {{"/metrics", [&registry = *metrics->registry_] {
                                            return HttpPages::Page{.body = MetricsPage(registry),
                                                                   .type = HttpPages::kMetricsType};
                                          }}});
  if (!pages.ok()) {
    return absl::UnavailableError(
        absl::StrCat("--metrics-address=", address, ": ", pages.status().message()));
  }
  metrics->pages_ = *std::move(pages);
  return metrics;
}

void WorkerMetrics::JobEnded(const std::string& method, const std::string& outcome) {
  jobs_.Add({{"method", method}, {"outcome", outcome}}).Increment();
  absl::MutexLock lock(&mutex_);
  phase_ = v1::JOB_PHASE_UNSPECIFIED;
  step_ = 0;
}

void WorkerMetrics::LeaseError() { lease_errors_.Increment(); }

void WorkerMetrics::Observe(const v1::Progress& progress) {
  absl::MutexLock lock(&mutex_);
  const auto now = Clock::now();
  if (phase_ != v1::JOB_PHASE_UNSPECIFIED) {
    phase_seconds_.Add({{"phase", PhaseLabel(phase_)}})
        .Increment(std::chrono::duration<double>(now - observed_).count());
  }
  phase_ = progress.phase();
  observed_ = now;
  const int64_t step = progress.training().step();
  if (step > step_) {
    // The first report of a resumed run is not what this worker trained.
    if (step_ > 0 || step == 1) steps_.Increment(static_cast<double>(step - step_));
    step_ = step;
  }
}

}  // namespace likeness

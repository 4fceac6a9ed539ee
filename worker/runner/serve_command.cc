// likeness-worker serve: works for a server.
#include <grpcpp/grpcpp.h>
#include <limits.h>
#include <unistd.h>

#include <map>
#include <optional>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "common/ids.h"
#include "common/logging.h"
#include "common/status_macros.h"
#include "worker/runner/command_flags.h"
#include "worker/runner/commands.h"
#include "worker/runner/device.h"
#include "worker/runner/generate.h"
#include "worker/runner/guard.h"
#include "worker/runner/lease_loop.h"
#include "worker/runner/rpc_patience.h"
#include "worker/runner/scratch.h"
#include "worker/runner/shutdown.h"
#include "worker/runner/worker_metrics.h"
#include "worker/runner/worker_setup.h"

namespace likeness {
namespace {

constexpr char kUsage[] = R"(Usage: likeness-worker [serve] [FLAGS]

Pulls jobs from a likeness-server, one at a time, and works on them until it is
told to stop (SIGTERM, SIGINT): a job that runs then is checkpointed and given
back. A server that is away is waited for.
)";

struct ServeFlags {
  WorkerFlags worker;
  std::string server = "localhost:50051";
  ChannelSecurity security;
  std::string name;
  std::string metrics_address = "127.0.0.1:9465";
  std::string labels;
};

std::string DefaultName() {
  char host[HOST_NAME_MAX + 1] = "worker";
  gethostname(host, sizeof(host) - 1);
  return absl::StrCat(host, "-", getpid());
}

// "zone=a,gpu=h100"
absl::StatusOr<std::map<std::string, std::string>> ParseLabels(const std::string& text) {
  std::map<std::string, std::string> labels;
  for (const auto label : absl::StrSplit(text, ',', absl::SkipEmpty())) {
    const size_t equals = label.find('=');
    if (equals == label.npos || equals == 0) {
      return absl::InvalidArgumentError(
          absl::StrCat("--labels=", text, ": KEY=VALUE is allowed, with commas between"));
    }
    labels[std::string(label.substr(0, equals))] = std::string(label.substr(equals + 1));
  }
  return labels;
}

absl::Status Serve(const ServeFlags& flags) {
  ASSIGN_OR_RETURN(const auto labels, ParseLabels(flags.labels));
  Shutdown shutdown;  // before any other thread
  ASSIGN_OR_RETURN(const auto channel, ConnectToServer(flags.server, flags.security));
  ASSIGN_OR_RETURN(const auto workshop, SetUp(flags.worker));
  ASSIGN_OR_RETURN(const auto metrics, WorkerMetrics::Start(flags.metrics_address));
  std::optional<Scratch> scratch;
  RETURN_IF_ERROR(
      Guard([&] { scratch.emplace(std::filesystem::path(flags.worker.cache_dir) / "scratch"); }));
  const LeaseLoopOptions options{.worker = flags.name.empty() ? DefaultName() : flags.name,
                                 .device = workshop->resident.device().str(),
                                 .device_memory_bytes = DeviceMemory(workshop->resident.device()),
                                 .labels = labels,
                                 .samplers = SupportedSamplers(),
                                 .scratch = scratch->path()};
  LogInfo("worker started",
          {{"worker", options.worker}, {"server", flags.server}, {"device", options.device}});
  LeaseLoop(channel, options, *workshop, *metrics, shutdown).Run();
  LogInfo("worker stopped");
  return absl::OkStatus();
}

}  // namespace

int ServeCommand(const CommandLine& arguments) {
  ServeFlags options;
  FlagSet flags(kUsage);
  flags.Add("server", &options.server, "Address of the server.", "LIKENESS_SERVER");
  options.security.AddTo(flags);
  options.worker.AddTo(flags);
  flags.Add("name", &options.name, "This worker's name in logs [host name and process id].",
            "LIKENESS_WORKER_NAME");
  flags.Add("metrics-address", &options.metrics_address,
            "Where Prometheus finds /metrics; empty: nowhere.", "LIKENESS_WORKER_METRICS_ADDRESS");
  flags.Add("labels", &options.labels,
            "KEY=VALUE, with commas between: jobs can require them of their worker.",
            "LIKENESS_WORKER_LABELS");
  return RunWithFlags(flags, arguments, [&] { return Serve(options); });
}

}  // namespace likeness

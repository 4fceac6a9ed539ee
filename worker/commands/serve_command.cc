// likeness-worker serve: works for a server.
#include <grpcpp/grpcpp.h>
#include <limits.h>
#include <unistd.h>

#include <algorithm>
#include <map>
#include <optional>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "common/address.h"
#include "common/ids.h"
#include "common/logging.h"
#include "common/status_macros.h"
#include "common/utf8.h"
#include "worker/commands/commands.h"
#include "worker/commands/lease_work.h"
#include "worker/commands/worker_setup.h"
#include "worker/support/command_flags.h"
#include "worker/support/guard.h"
#include "worker/support/scratch.h"
#include "worker/wire/lease_loop.h"
#include "worker/wire/rpc_patience.h"
#include "worker/wire/shutdown.h"
#include "worker/wire/worker_metrics.h"

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
  bool rehearse = false;
  std::string rehearse_models = "mini";
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

bool IsOf(absl::string_view text, absl::string_view marks, size_t most,
          bool (*is_letter)(unsigned char)) {
  return !text.empty() && text.size() <= most &&
         std::all_of(text.begin(), text.end(), [&](unsigned char c) {
           return is_letter(c) || absl::ascii_isdigit(c) || marks.find(c) != marks.npos;
         });
}

// What the server would refuse with every call, for ever.
absl::Status CheckOffer(const std::string& name, const std::map<std::string, std::string>& labels) {
  if (!IsOf(name, "._-", 128, absl::ascii_isalpha)) {
    return absl::InvalidArgumentError(
        absl::StrCat("--name=", name, ": [A-Za-z0-9._-]{1,128} is allowed"));
  }
  if (labels.size() > 32) {
    return absl::InvalidArgumentError(
        absl::StrCat("--labels: ", labels.size(), " are given; at most 32 are allowed"));
  }
  for (const auto& [key, value] : labels) {
    if (IsOf(key, "_-", 63, absl::ascii_islower) && value.size() <= 63) continue;
    return absl::InvalidArgumentError(
        absl::StrCat("--labels: ", key, "=", value,
                     ": keys [a-z0-9_-]{1,63}, values up to 63 bytes are allowed"));
  }
  return absl::OkStatus();
}

absl::Status Serve(const ServeFlags& flags) {
  ASSIGN_OR_RETURN(const auto labels, ParseLabels(flags.labels));
  const std::string name = flags.name.empty() ? DefaultName() : flags.name;
  RETURN_IF_ERROR(CheckOffer(name, labels));
  if (!IsUtf8(flags.labels)) {
    return absl::InvalidArgumentError("--labels: only UTF-8 text is allowed");
  }
  if (!flags.metrics_address.empty()) {
    RETURN_IF_ERROR(ParsePageAddress("--metrics-address", flags.metrics_address).status());
  }
  RETURN_IF_ERROR(MakeDirectory("cache-dir", flags.worker.cache_dir));
  Shutdown shutdown;  // before any other thread
  ASSIGN_OR_RETURN(const auto channel, ConnectToServer(flags.server, flags.security));
  ASSIGN_OR_RETURN(const Workplace workplace,
                   flags.rehearse ? MakeRehearsal(flags.worker, flags.rehearse_models)
                                  : MakeWorkplace(flags.worker));
  ASSIGN_OR_RETURN(const auto metrics, WorkerMetrics::Start(flags.metrics_address));
  std::optional<Scratch> scratch;
  RETURN_IF_ERROR(Guard([&] {
    const auto root = std::filesystem::path(flags.worker.cache_dir) / "scratch";
    Scratch::RemoveOrphans(root);
    scratch.emplace(root);
  }));
  const LeaseLoopOptions options{.worker = name,
                                 .device = workplace.device,
                                 .device_memory_bytes = workplace.device_memory_bytes,
                                 .labels = labels,
                                 .scratch = scratch->path()};
  LogInfo("worker started",
          {{"worker", options.worker}, {"server", flags.server}, {"device", options.device}});
  LeaseLoop(channel, options, workplace.work, *metrics, shutdown).Run();
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
  flags.Add("name", &options.name,
            "This worker's name, of this process alone [host name and process id].",
            "LIKENESS_WORKER_NAME");
  flags.Add("metrics-address", &options.metrics_address,
            "Where Prometheus finds /metrics; empty: nowhere.", "LIKENESS_WORKER_METRICS_ADDRESS");
  flags.Add("labels", &options.labels,
            "KEY=VALUE, with commas between: jobs can require them of their worker.",
            "LIKENESS_WORKER_LABELS");
  flags.Add(
      "rehearse", &options.rehearse,
      "Ends jobs within seconds, with stand-ins for pictures and models: to try out programs.",
      "LIKENESS_REHEARSE");
  flags.Add("rehearse-models", &options.rehearse_models,
            "NAME or NAME:PIXELS, with commas between: the base models to offer with --rehearse.",
            "LIKENESS_REHEARSE_MODELS");
  return RunWithFlags(flags, arguments, [&] { return Serve(options); });
}

}  // namespace likeness

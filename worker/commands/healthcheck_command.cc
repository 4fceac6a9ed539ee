// likeness-worker healthcheck: asks the worker of this machine, through its metrics page, whether
// it is up.
#include <string>

#include "common/ask_for_page.h"
#include "worker/commands/commands.h"
#include "worker/support/command_flags.h"

namespace likeness {
namespace {

constexpr char kUsage[] = R"(Usage: likeness-worker healthcheck [FLAGS]

Succeeds if a worker on this machine has loaded its models and serves its
metrics page. A server that is away does not make a worker unhealthy: it waits.
)";

}  // namespace

int HealthcheckCommand(const CommandLine& arguments) {
  std::string address = "127.0.0.1:9465";
  FlagSet flags(kUsage);
  flags.Add("metrics-address", &address, "The worker's metrics page.",
            "LIKENESS_WORKER_METRICS_ADDRESS");
  return RunWithFlags(flags, arguments, [&] { return AskForPage(address, "/metrics"); });
}

}  // namespace likeness

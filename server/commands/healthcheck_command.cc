#include "common/ask_for_page.h"
#include "server/commands/commands.h"

namespace likeness::server {
namespace {

constexpr char kUsage[] =
    "Usage: likeness-server healthcheck [--ready]\n\n"
    "Succeeds if the server of this machine is alive, or, with --ready, if it takes\n"
    "new work. It asks the page at --metrics-listen, which needs no key.";

}  // namespace

int HealthcheckCommand(const CommandLine& arguments) {
  std::string address = "127.0.0.1:9464";
  bool ready = false;
  FlagSet flags(kUsage);
  flags.Add("metrics-listen", &address, "As given to the server.", "LIKENESS_METRICS_LISTEN");
  flags.Add("ready", &ready, "Fail while it drains, or its disk is full or cannot be written.");
  return RunCommand(flags, arguments, {},
                    [&] { return AskForPage(address, ready ? "/healthz" : "/livez"); });
}

}  // namespace likeness::server

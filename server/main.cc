// likeness-server: see --help.
#include <pthread.h>
#include <signal.h>

#include <cstdio>

#include "absl/strings/str_cat.h"
#include "common/flags.h"
#include "common/logging.h"
#include "server/base/version.h"
#include "server/server.h"

namespace likeness::server {
namespace {

constexpr char kUsage[] =
    "Usage: likeness-server --data-dir=DIR [FLAGS]\n\n"
    "Accepts jobs, queues them durably, leases them to workers, keeps their\n"
    "pictures, and streams what happens. Every flag can be set by the environment\n"
    "variable that stands behind it.";

// Blocked in every thread, so that only main waits for them.
sigset_t BlockSignals() {
  signal(SIGPIPE, SIG_IGN);
  signal(SIGXFSZ, SIG_IGN);  // a write over the limit is an error like a full disk
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGTERM);
  sigaddset(&signals, SIGINT);
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  return signals;
}

int Run(int argc, char** argv) {
  ServerOptions options;
  bool version = false;
  FlagSet flags(kUsage);
  AddFlags(options, flags);
  flags.Add("version", &version, "Print the version and end.");
  auto positional = flags.Parse(Arguments(argc, argv));
  if (flags.help_requested()) {
    std::fputs(flags.Help().c_str(), stdout);
    return 0;
  }
  absl::Status status = positional.status();
  if (status.ok() && !positional->empty()) {
    status = absl::InvalidArgumentError(
        absl::StrCat("\"", positional->front(), "\" is not a flag; --help lists all"));
  }
  if (status.ok() && version) {
    std::printf("%s\n", Version());
    return 0;
  }
  if (status.ok()) status = InitLogging(options.log);
  if (!status.ok()) {
    std::fprintf(stderr, "likeness-server: %s\n", std::string(status.message()).c_str());
    return 2;
  }

  const sigset_t signals = BlockSignals();
  auto server = Server::Start(options);
  if (!server.ok()) {
    std::fprintf(stderr, "likeness-server: %s\n", std::string(server.status().message()).c_str());
    return server.status().code() == absl::StatusCode::kInvalidArgument ? 2 : 1;
  }
  int received = 0;
  sigwait(&signals, &received);
  (*server)->Drain();
  return 0;
}

}  // namespace
}  // namespace likeness::server

int main(int argc, char** argv) { return likeness::server::Run(argc, argv); }

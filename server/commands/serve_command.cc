#include <pthread.h>
#include <signal.h>
#include <sys/resource.h>

#include <cstdio>

#include "absl/synchronization/mutex.h"
#include "common/logging.h"
#include "common/status_macros.h"
#include "common/version.h"
#include "server/commands/commands.h"
#include "server/server.h"

namespace likeness::server {
namespace {

constexpr char kUsage[] =
    "Usage: likeness-server [serve] --data-dir=DIR [FLAGS]\n\n"
    "Accepts jobs, queues them durably, leases them to workers, keeps their\n"
    "pictures, and streams what happens. Every flag can be set by the environment\n"
    "variable that stands behind it. likeness-server help lists the other commands.";

// Blocked in every thread, so that only this one waits for them.
sigset_t BlockSignals() {
  signal(SIGPIPE, SIG_IGN);
  signal(SIGXFSZ, SIG_IGN);  // a write over the limit is an error like a full disk
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGTERM);
  sigaddset(&signals, SIGINT);
  sigaddset(&signals, SIGUSR1);
  sigaddset(&signals, SIGHUP);
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  return signals;
}

// Connections, files and the database share the limit, which is often 1,024 at first.
void RaiseOpenFiles() {
  rlimit files{};
  if (getrlimit(RLIMIT_NOFILE, &files) != 0) return;
  files.rlim_cur = files.rlim_max;
  setrlimit(RLIMIT_NOFILE, &files);
}

absl::Status Serve(const ServerOptions& options) {
  // Debian builds Abseil with its search for deadlocks, which gRPC's locks pay for at every call.
  absl::SetMutexDeadlockDetectionMode(absl::OnDeadlockCycle::kIgnore);
  RaiseOpenFiles();
  RETURN_IF_ERROR(InitLogging(options.log));
  const sigset_t signals = BlockSignals();
  ASSIGN_OR_RETURN(auto server, Server::Start(options));
  int received = 0;
  while (sigwait(&signals, &received) == 0 && received != SIGTERM && received != SIGINT) {
    if (received == SIGUSR1) server->CollectBlobs();
    if (received == SIGHUP) server->Reload();
  }
  server->Drain();
  return absl::OkStatus();
}

}  // namespace

int ServeCommand(const CommandLine& arguments) {
  ServerOptions options;
  bool version = false;
  FlagSet flags(kUsage);
  AddFlags(options, flags);
  flags.Add("version", &version, "Print the version and end.");
  return RunCommand(flags, arguments, {}, [&]() -> absl::Status {
    if (!version) return Serve(options);
    std::printf("%s\n", Version());
    return absl::OkStatus();
  });
}

}  // namespace likeness::server

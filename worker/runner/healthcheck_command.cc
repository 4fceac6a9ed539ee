// likeness-worker healthcheck: asks the worker of this machine, through its metrics page, whether
// it is up.
#include <netdb.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include <string>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "worker/runner/command_flags.h"
#include "worker/runner/commands.h"

namespace likeness {
namespace {

constexpr char kUsage[] = R"(Usage: likeness-worker healthcheck [FLAGS]

Succeeds if a worker on this machine has loaded its models and serves its
metrics page. A server that is away does not make a worker unhealthy: it waits.
)";

absl::Status AskForPage(const std::string& address) {
  const std::pair<std::string, std::string> host_and_port =
      absl::StrSplit(address, absl::MaxSplits(':', 1));
  const auto failure = [&](const char* what) {
    return absl::UnavailableError(absl::StrCat("no worker at ", address, ": ", what));
  };
  addrinfo* found = nullptr;
  addrinfo hints = {};
  hints.ai_socktype = SOCK_STREAM;
  if (getaddrinfo(host_and_port.first.c_str(), host_and_port.second.c_str(), &hints, &found) != 0) {
    return failure("no such address");
  }
  const absl::Cleanup free_found = [found] { freeaddrinfo(found); };
  const int connection = socket(found->ai_family, found->ai_socktype, found->ai_protocol);
  const absl::Cleanup close_connection = [connection] { close(connection); };
  const timeval patience{.tv_sec = 2, .tv_usec = 0};
  setsockopt(connection, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
  if (connect(connection, found->ai_addr, found->ai_addrlen) != 0)
    return failure("nothing listens");

  const std::string request = "GET /metrics HTTP/1.0\r\n\r\n";
  if (send(connection, request.data(), request.size(), MSG_NOSIGNAL) < 0)
    return failure("it hung up");
  char answer[16] = {};
  if (recv(connection, answer, sizeof(answer) - 1, MSG_WAITALL) <= 0) return failure("no answer");
  if (std::string(answer).find(" 200") == std::string::npos) return failure("not a metrics page");
  return absl::OkStatus();
}

}  // namespace

int HealthcheckCommand(const CommandLine& arguments) {
  std::string address = "127.0.0.1:9465";
  FlagSet flags(kUsage);
  flags.Add("metrics-address", &address, "The worker's metrics page.",
            "LIKENESS_WORKER_METRICS_ADDRESS");
  return RunWithFlags(flags, arguments, [&] { return AskForPage(address); });
}

}  // namespace likeness

// Load on likeness-server over loopback; client and server share this machine.
#include <cstdio>
#include <string>

#include "absl/strings/str_cat.h"
#include "benchmarks/server_load/subjects.h"
#include "common/logging.h"
#include "tests/support/fake_worker.h"

namespace likeness::load {

OwnServer::OwnServer(const std::string& data_dir, std::vector<std::string> flags)
    : data_dir_(data_dir.empty() ? folder_.path() : data_dir),
      port_(testing::FreePort()),
      process_(LIKENESS_SERVER_PROGRAM, data_dir_, port_, [&] {
        flags.push_back("--log-level=warning");
        return flags;
      }()) {}

std::vector<std::shared_ptr<grpc::Channel>> OwnServer::Channels(int count) const {
  std::vector<std::shared_ptr<grpc::Channel>> channels;
  for (int i = 0; i < count; ++i) channels.push_back(testing::ChannelTo(port_));
  return channels;
}

std::vector<std::shared_ptr<grpc::Channel>> OwnServer::OfferAndConnect(int count) const {
  auto channels = Channels(count);
  (void)testing::FakeWorker(channels[0]).Acquire(absl::ZeroDuration());
  return channels;
}

std::optional<int> ParseOrEnd(FlagSet& flags, const Arguments& arguments) {
  const auto parsed = flags.Parse(arguments);
  if (flags.help_requested()) {
    std::fputs(flags.Help().c_str(), stdout);
    return 0;
  }
  if (parsed.ok() && parsed->empty()) return std::nullopt;
  std::fprintf(stderr, "server_load: %s\n",
               parsed.ok() ? absl::StrCat("what is ", parsed->front(), "?").c_str()
                           : std::string(parsed.status().message()).c_str());
  return 2;
}

namespace {

constexpr char kHelp[] = R"(Usage: server_load SUBJECT [FLAGS]

  throughput   jobs created, leased and completed per second, and GetJob per second
  watches      many open watches: how late changes arrive, and what a watch costs
  store        a store of many jobs: its size, and how long calls take
  workers      many workers that wait and report: how late heartbeats are answered
  soak         steady load for a long time: what grows

server_load SUBJECT --help lists a subject's flags.
)";

int Main(Arguments arguments) {
  (void)InitLogging({"text", "warning"});
  const std::string subject = arguments.empty() ? "help" : arguments[0];
  if (!arguments.empty()) arguments.erase(arguments.begin());
  if (subject == "throughput") return Throughput(arguments);
  if (subject == "watches") return Watches(arguments);
  if (subject == "store") return Store(arguments);
  if (subject == "workers") return Workers(arguments);
  if (subject == "soak") return Soak(arguments);
  const bool asked = subject == "help" || subject == "--help";
  std::fputs(kHelp, asked ? stdout : stderr);
  return asked ? 0 : 2;
}

}  // namespace
}  // namespace likeness::load

int main(int argc, char** argv) { return likeness::load::Main(likeness::Arguments(argc, argv)); }

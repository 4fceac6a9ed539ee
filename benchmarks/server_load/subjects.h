// What server_load measures. Each subject takes its arguments, prints one JSON object (soak: one a
// line), and returns the process's exit code.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "common/flags.h"
#include "grpcpp/channel.h"
#include "tests/support/server_process.h"
#include "tests/support/test_server.h"

namespace likeness::load {

using Arguments = std::vector<std::string>;

int Throughput(const Arguments& arguments);
int Watches(const Arguments& arguments);
int Store(const Arguments& arguments);
int Workers(const Arguments& arguments);
int Soak(const Arguments& arguments);

// A likeness-server of its own process, on a free port, so that its memory can be told from the
// load's; its data in `data_dir`, or in a folder that goes away.
class OwnServer {
 public:
  explicit OwnServer(const std::string& data_dir, std::vector<std::string> flags = {});

  const testing::ServerProcess& process() const { return process_; }
  const std::string& data_dir() const { return data_dir_; }
  // Connections that share nothing.
  std::vector<std::shared_ptr<grpc::Channel>> Channels(int count) const;
  // A base model is on offer from now on, so that jobs are accepted.
  std::vector<std::shared_ptr<grpc::Channel>> OfferAndConnect(int count) const;

 private:
  testing::TempFolder folder_;
  const std::string data_dir_;
  const int port_;
  testing::ServerProcess process_;
};

// Parses; an exit code if the program is to end.
std::optional<int> ParseOrEnd(FlagSet& flags, const Arguments& arguments);

}  // namespace likeness::load

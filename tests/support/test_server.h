// A server in this process, on a free port, with its data in a folder that goes away with it.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "grpcpp/channel.h"
#include "server/server.h"

namespace likeness::testing {

// A new empty folder below the system's temporary one, removed at the end.
class TempFolder {
 public:
  TempFolder();
  ~TempFolder();
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

// Options for tests: loopback, free ports, short times.
server::ServerOptions TestOptions(const std::string& data_dir);

// A channel with a receive limit that holds every answer of the server, sharing nothing with other
// channels. `token` goes with every call.
std::shared_ptr<grpc::Channel> ChannelTo(int port, const std::string& token = "");

class TestServer {
 public:
  TestServer();
  explicit TestServer(const server::ServerOptions& options);
  // `change` is applied to the options of tests.
  explicit TestServer(const std::function<void(server::ServerOptions&)>& change);

  server::Server& server() { return *server_; }
  std::shared_ptr<grpc::Channel> channel() const { return channel_; }

 private:
  void Start(const server::ServerOptions& options);

  TempFolder folder_;
  std::unique_ptr<server::Server> server_;
  std::shared_ptr<grpc::Channel> channel_;
};

}  // namespace likeness::testing

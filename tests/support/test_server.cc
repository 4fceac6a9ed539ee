#include "tests/support/test_server.h"

#include <cstdio>
#include <cstdlib>
#include <filesystem>

#include "absl/strings/str_cat.h"
#include "common/channel.h"

namespace likeness::testing {

TempFolder::TempFolder() {
  std::string pattern = (std::filesystem::temp_directory_path() / "likeness-XXXXXX").string();
  if (mkdtemp(pattern.data()) == nullptr) std::abort();
  path_ = pattern;
}

TempFolder::~TempFolder() {
  std::error_code ignored;
  std::filesystem::remove_all(path_, ignored);
}

server::ServerOptions TestOptions(const std::string& data_dir) {
  server::ServerOptions options;
  options.listen = "127.0.0.1:0";
  options.metrics_listen = "127.0.0.1:0";
  options.data_dir = data_dir;
  options.retry_delay = absl::Milliseconds(50);
  options.drain_timeout = absl::Seconds(2);
  options.executor_threads = 8;
  return options;
}

std::shared_ptr<grpc::Channel> ChannelTo(int port, const std::string& token) {
  grpc::ChannelArguments arguments;
  arguments.SetMaxReceiveMessageSize(-1);
  arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
  arguments.SetInt(GRPC_ARG_INITIAL_RECONNECT_BACKOFF_MS, 100);
  arguments.SetInt(GRPC_ARG_MAX_RECONNECT_BACKOFF_MS, 500);
  return *OpenChannel(absl::StrCat("127.0.0.1:", port), {.token = token}, arguments);
}

TestServer::TestServer() { Start(TestOptions(folder_.path() + "/data")); }

TestServer::TestServer(const server::ServerOptions& options) { Start(options); }

TestServer::TestServer(const std::function<void(server::ServerOptions&)>& change) {
  auto options = TestOptions(folder_.path() + "/data");
  change(options);
  Start(options);
}

void TestServer::Start(const server::ServerOptions& options) {
  auto started = server::Server::Start(options);
  if (!started.ok()) {
    std::fprintf(stderr, "%s\n", started.status().ToString().c_str());
    std::abort();
  }
  server_ = *std::move(started);
  channel_ = ChannelTo(server_->port());
}

}  // namespace likeness::testing

// A line to the server that dies without a word, as behind a gateway that forgot it.
#include <arpa/inet.h>
#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "common/clock.h"
#include "likeness/v1/worker_service.grpc.pb.h"
#include "worker/wire/rpc_patience.h"

namespace likeness {
namespace {

sockaddr_in Loopback(int port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<uint16_t>(port));
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  return address;
}

// Carries bytes between a port of its own and `target`. What is connected when it falls silent
// stays open, and nothing passes any more; what connects later is carried.
class Line {
 public:
  explicit Line(int target) : target_(target), listener_(socket(AF_INET, SOCK_STREAM, 0)) {
    sockaddr_in address = Loopback(0);
    socklen_t size = sizeof(address);
    bind(listener_, reinterpret_cast<sockaddr*>(&address), size);
    listen(listener_, 8);
    getsockname(listener_, reinterpret_cast<sockaddr*>(&address), &size);
    port_ = ntohs(address.sin_port);
    thread_ = std::thread([this] { Run(); });
  }
  ~Line() {
    ended_ = true;
    thread_.join();
    close(listener_);
  }

  int port() const { return port_; }
  void FallSilent() { falls_silent_ = true; }

 private:
  void Run() {
    std::vector<std::array<int, 2>> pairs;
    size_t silent = 0;  // of the first pairs
    while (!ended_) {
      if (falls_silent_.exchange(false)) silent = pairs.size();
      std::vector<pollfd> files = {{listener_, POLLIN, 0}};
      for (size_t i = silent; i < pairs.size(); ++i) {
        for (const int end : pairs[i]) files.push_back({end, POLLIN, 0});
      }
      poll(files.data(), files.size(), 10);
      for (size_t i = 1; i < files.size(); ++i) {
        if (files[i].revents != 0) Carry(files[i].fd, files[(i - 1) % 2 == 0 ? i + 1 : i - 1].fd);
      }
      if (files[0].revents != 0)
        pairs.push_back({accept(listener_, nullptr, nullptr), Connected()});
    }
    for (const auto& pair : pairs) {
      for (const int end : pair) close(end);
    }
  }

  int Connected() const {
    const int file = socket(AF_INET, SOCK_STREAM, 0);
    const sockaddr_in address = Loopback(target_);
    connect(file, reinterpret_cast<const sockaddr*>(&address), sizeof(address));
    return file;
  }

  static void Carry(int from, int to) {
    std::array<char, 65536> bytes;
    const ssize_t count = recv(from, bytes.data(), bytes.size(), 0);
    if (count <= 0) {
      shutdown(to, SHUT_RDWR);
      return;
    }
    send(to, bytes.data(), static_cast<size_t>(count), MSG_NOSIGNAL);
  }

  const int target_;
  const int listener_;
  int port_ = 0;
  std::atomic<bool> falls_silent_ = false;
  std::atomic<bool> ended_ = false;
  std::thread thread_;
};

TEST(SilentLineTest, TheServerIsReachedAgainWithinALease) {
  v1::WorkerService::Service service;  // whatever is asked: UNIMPLEMENTED
  int port = 0;
  grpc::ServerBuilder builder;
  builder.AddListeningPort("127.0.0.1:0", grpc::InsecureServerCredentials(), &port);
  builder.AddChannelArgument(GRPC_ARG_HTTP2_MIN_RECV_PING_INTERVAL_WITHOUT_DATA_MS, 5'000);
  builder.RegisterService(&service);
  const auto server = builder.BuildAndStart();
  Line line(port);
  const auto channel = ConnectToServer(absl::StrCat("127.0.0.1:", line.port()), {});
  ASSERT_TRUE(channel.ok()) << channel.status();
  const auto stub = v1::WorkerService::NewStub(*channel);
  const auto answered = [&] {
    grpc::ClientContext context;
    PrepareCall(context, absl::Seconds(5));
    v1::HeartbeatResponse response;
    return stub->Heartbeat(&context, {}, &response).error_code() == grpc::UNIMPLEMENTED;
  };
  ASSERT_TRUE(answered());
  line.FallSilent();
  absl::SleepFor(absl::Milliseconds(50));
  const absl::Time lease_end = SteadyNow() + absl::Seconds(30);
  bool again = false;
  while (!again && SteadyNow() < lease_end) again = answered();
  EXPECT_TRUE(again);
}

}  // namespace
}  // namespace likeness

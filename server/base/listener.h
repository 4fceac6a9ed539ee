// The sockets that the server listens on, and who connects to them.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "common/address.h"

namespace likeness::server {

class Listener {
 public:
  // `fd` is the new connection's socket, now the callee's. `peer` as gRPC spells it:
  // "ipv4:10.0.0.1:4711", "ipv6:%5B::1%5D:4711".
  using OnConnect = std::function<void(int fd, const std::string& peer)>;

  // Listens on every address that the host's name has; port 0 takes a free one. `host` is no unix
  // socket. FAILED_PRECONDITION (ADDRESS_IN_USE).
  static absl::StatusOr<std::unique_ptr<Listener>> Open(const Address& address);
  ~Listener();

  int port() const { return port_; }

  struct Next {
    absl::Duration patience;
    bool accept = true;  // or connections wait meanwhile
  };
  // Takes connections from now on, on a thread of its own, which calls `meanwhile` in between, at
  // the latest when the time is over that it returned last.
  using Meanwhile = std::function<Next()>;
  void Start(OnConnect on_connect, Meanwhile meanwhile);
  // Takes none from now on, and closes the sockets.
  void Stop();

 private:
  Listener() = default;
  void Loop(const OnConnect& on_connect, const Meanwhile& meanwhile);

  std::vector<int> sockets_;
  int port_ = 0;
  int wake_ = -1;  // eventfd: the end
  std::thread thread_;
};

}  // namespace likeness::server

#include "server/base/listener.h"

#include <arpa/inet.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <set>
#include <string>
#include <utility>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "common/logging.h"
#include "common/rpc_error.h"
#include "server/base/tcp_socket.h"

namespace likeness::server {
namespace {

constexpr int kUnreadBytes = 2 << 10;  // of a connection before it is taken; the kernel doubles it
constexpr absl::Duration kOutOfFiles = absl::Milliseconds(100);  // to wait until one is free

struct Endpoint {
  sockaddr_storage storage = {};
  socklen_t size = sizeof(storage);

  sockaddr* get() { return reinterpret_cast<sockaddr*>(&storage); }
  in_port_t& port() {
    return storage.ss_family == AF_INET6 ? reinterpret_cast<sockaddr_in6*>(&storage)->sin6_port
                                         : reinterpret_cast<sockaddr_in*>(&storage)->sin_port;
  }
};

int Listen(Endpoint endpoint) {
  const int type = SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC;
  const int fd = socket(endpoint.storage.ss_family, type, 0);
  if (fd < 0) return -1;
  const int yes = 1;
  const int no = 0;
  setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof(yes));
  if (endpoint.storage.ss_family == AF_INET6) {  // [::] takes IPv4 as well
    setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &no, sizeof(no));
  }
  TcpSocket::PrepareListener(fd, kUnreadBytes);
  if (bind(fd, endpoint.get(), endpoint.size) == 0 && listen(fd, SOMAXCONN) == 0) return fd;
  close(fd);
  return -1;
}

int PortOf(int fd) {
  Endpoint own;
  getsockname(fd, own.get(), &own.size);
  return ntohs(own.port());
}

std::string PeerOf(Endpoint& endpoint) {
  char text[INET6_ADDRSTRLEN] = {};
  const int port = ntohs(endpoint.port());
  if (endpoint.storage.ss_family == AF_INET) {
    inet_ntop(AF_INET, &reinterpret_cast<sockaddr_in*>(&endpoint.storage)->sin_addr, text,
              sizeof(text));
    return absl::StrCat("ipv4:", text, ":", port);
  }
  const in6_addr& ip6 = reinterpret_cast<sockaddr_in6*>(&endpoint.storage)->sin6_addr;
  if (IN6_IS_ADDR_V4MAPPED(&ip6)) {
    inet_ntop(AF_INET, ip6.s6_addr + 12, text, sizeof(text));
    return absl::StrCat("ipv4:", text, ":", port);
  }
  inet_ntop(AF_INET6, &ip6, text, sizeof(text));
  // As gRPC writes it, which names the interface of link-local addresses.
  const uint32_t scope = reinterpret_cast<sockaddr_in6*>(&endpoint.storage)->sin6_scope_id;
  return absl::StrCat("ipv6:%5B", text, scope != 0 ? absl::StrCat("%25", scope) : "", "%5D:", port);
}

}  // namespace

absl::StatusOr<std::unique_ptr<Listener>> Listener::Open(const Address& address) {
  const auto failure = [&](absl::string_view why) {
    return RpcError(absl::StatusCode::kFailedPrecondition, "ADDRESS_IN_USE",
                    absl::StrCat("cannot listen on ", ToString(address), ": ", why));
  };
  addrinfo* found = nullptr;
  addrinfo hints = {};
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = AI_PASSIVE;
  const int resolved =
      getaddrinfo(address.host.c_str(), absl::StrCat(address.port).c_str(), &hints, &found);
  if (resolved != 0) return failure(gai_strerror(resolved));
  const absl::Cleanup free_found = [found] { freeaddrinfo(found); };
  std::unique_ptr<Listener> listener(new Listener);
  int error = 0;
  std::set<std::string> seen;  // hosts files can name an address twice
  for (const addrinfo* one = found; one != nullptr; one = one->ai_next) {
    if (!seen.emplace(reinterpret_cast<const char*>(one->ai_addr), one->ai_addrlen).second)
      continue;
    Endpoint endpoint;
    std::memcpy(&endpoint.storage, one->ai_addr, one->ai_addrlen);
    endpoint.size = one->ai_addrlen;
    if (listener->port_ != 0) endpoint.port() = htons(static_cast<uint16_t>(listener->port_));
    const int fd = Listen(endpoint);
    if (fd < 0) {
      error = errno;
      continue;  // a machine without IPv6 still has the other
    }
    listener->port_ = PortOf(fd);
    listener->sockets_.push_back(fd);
  }
  if (listener->sockets_.empty() || error == EADDRINUSE) return failure(std::strerror(error));
  listener->wake_ = eventfd(0, EFD_CLOEXEC);
  return listener;
}

Listener::~Listener() { Stop(); }

void Listener::Start(OnConnect on_connect, Meanwhile meanwhile) {
  thread_ = std::thread([this, on_connect = std::move(on_connect),
                         meanwhile = std::move(meanwhile)] { Loop(on_connect, meanwhile); });
}

void Listener::Stop() {
  if (thread_.joinable()) {
    eventfd_write(wake_, 1);
    thread_.join();
  }
  for (const int fd : std::exchange(sockets_, {})) close(fd);
  if (wake_ >= 0) close(std::exchange(wake_, -1));
}

void Listener::Loop(const OnConnect& on_connect, const Meanwhile& meanwhile) {
  std::vector<pollfd> polled = {{.fd = wake_, .events = POLLIN, .revents = 0}};
  for (const int fd : sockets_) polled.push_back({.fd = fd, .events = POLLIN, .revents = 0});
  while ((polled[0].revents & POLLIN) == 0) {
    for (size_t i = 1; i < polled.size(); ++i) {
      if (polled[i].revents == 0) continue;
      Endpoint peer;
      const int fd = accept4(polled[i].fd, peer.get(), &peer.size, SOCK_NONBLOCK | SOCK_CLOEXEC);
      if (fd < 0) {
        if (errno == EMFILE || errno == ENFILE) {
          LogWarning("no connection is taken: too many files are open");
          absl::SleepFor(kOutOfFiles);
        }
        continue;
      }
      const int yes = 1;
      setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof(yes));
      on_connect(fd, PeerOf(peer));
    }
    const Next next = meanwhile();
    for (size_t i = 1; i < polled.size(); ++i) polled[i].revents = 0;
    (void)poll(polled.data(), next.accept ? polled.size() : 1,
               static_cast<int>(absl::ToInt64Milliseconds(next.patience)));
  }
}

}  // namespace likeness::server

#include "common/http_pages.h"

#include <fcntl.h>
#include <httplib.h>
#include <netdb.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <thread>
#include <utility>
#include <vector>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "common/clock.h"
#include "common/status_macros.h"

namespace likeness {
namespace {

constexpr int kThreads = 2;
constexpr int kWaiting = 64;  // connections that the kernel keeps for the threads; it drops more
// The library looks at ranges with std::regex, whose stack grows with the header: 1.5 MB for this
// much, and threads have at least 2.
constexpr size_t kMaxRequestBytes = 4 << 10;
constexpr absl::Duration kRequestTime = absl::Seconds(2);
constexpr absl::Duration kAnswerTime = absl::Seconds(5);
constexpr int kRestMs = 100;  // where no connection can be taken: no file descriptors, no memory

// Waits for `events` on `fd`, at the longest until `deadline`. False then, and once `stop` can be
// read.
bool WaitFor(int fd, short events, int stop, absl::Time deadline) {
  const int64_t patience = absl::ToInt64Milliseconds(deadline - SteadyNow());
  pollfd polled[] = {{.fd = fd, .events = events, .revents = 0},
                     {.fd = stop, .events = POLLIN, .revents = 0}};
  const int ready = poll(polled, 2, static_cast<int>(std::max<int64_t>(patience, 0)));
  return ready > 0 && polled[1].revents == 0;
}

// A connection that cannot send more, or take longer, than one request does. The library bounds
// neither a request's line, nor the number of its headers, nor the time of all of it together.
class BoundedStream : public httplib::Stream {
 public:
  BoundedStream(int connection, int stop) : connection_(connection), stop_(stop) {}

  ssize_t read(char* bytes, size_t size) override {
    if (next_ == end_) {
      if (end_ == buffer_.size() || !WaitFor(connection_, POLLIN, stop_, deadline_)) return -1;
      const ssize_t count = recv(connection_, buffer_.data() + end_, buffer_.size() - end_, 0);
      if (count <= 0) return count;
      end_ += static_cast<size_t>(count);
    }
    size = std::min(size, end_ - next_);
    std::memcpy(bytes, buffer_.data() + next_, size);
    next_ += size;
    return static_cast<ssize_t>(size);
  }

  ssize_t write(const char* bytes, size_t size) override {
    if (!std::exchange(answering_, true)) deadline_ = SteadyNow() + kAnswerTime;
    if (!WaitFor(connection_, POLLOUT, stop_, deadline_)) return -1;
    return send(connection_, bytes, size, MSG_NOSIGNAL | MSG_DONTWAIT);
  }

  bool is_readable() const override { return true; }
  bool is_writable() const override { return true; }
  void get_remote_ip_and_port(std::string&, int&) const override {}
  void get_local_ip_and_port(std::string&, int&) const override {}
  socket_t socket() const override { return connection_; }

 private:
  const int connection_;
  const int stop_;
  absl::Time deadline_ = SteadyNow() + kRequestTime;
  bool answering_ = false;
  std::array<char, kMaxRequestBytes> buffer_;
  size_t next_ = 0;  // of the bytes in the buffer, the first that was not read
  size_t end_ = 0;
};

// Serves a connection before it takes the next: what waits, waits in the kernel.
class OnTheThreadThatAccepts : public httplib::TaskQueue {
 public:
  void enqueue(std::function<void()> serve) override { serve(); }
  void shutdown() override {}
};

// What one thread does. Several take connections of one listening socket.
class PageServer : public httplib::Server {
 public:
  PageServer(const HttpPages::Pages& pages, int listener, int stop)
      : listener_(listener), stop_(stop) {
    new_task_queue = [] { return new OnTheThreadThatAccepts; };
    set_pre_routing_handler([](const httplib::Request& request, httplib::Response& response) {
      if (request.method == "GET" || request.method == "HEAD") return HandlerResponse::Unhandled;
      response.status = 405;  // before its body is read
      response.set_header("Allow", "GET, HEAD");
      return HandlerResponse::Handled;
    });
    // The library's own would tell the peer what was thrown.
    set_exception_handler([](const httplib::Request&, httplib::Response& response,
                             std::exception_ptr) { response.status = 500; });
    for (const auto& [path, make] : pages) {
      Get(path, [&make](const httplib::Request&, httplib::Response& response) {
        const HttpPages::Page page = make();
        response.status = page.status;
        response.set_content(page.body, page.type);
      });
    }
  }

  // Until the listening socket is shut down and `stop` can be read. The library ends, and closes
  // the socket that it has, at any error but few.
  void Serve() {
    do {
      svr_sock_ = fcntl(listener_, F_DUPFD_CLOEXEC, 0);
      if (svr_sock_ != INVALID_SOCKET) listen_after_bind();
    } while (!Stopped());
  }

 private:
  bool Stopped() const {
    pollfd polled = {.fd = stop_, .events = POLLIN, .revents = 0};
    return poll(&polled, 1, kRestMs) > 0;
  }

  bool process_and_close_socket(socket_t connection) override {
    fcntl(connection, F_SETFD, FD_CLOEXEC);
    BoundedStream stream(connection, stop_);
    bool closed = true;
    const bool served =
        process_request(stream, /*close_connection=*/true, closed, [](httplib::Request& request) {
          // A header has room for a thousand ranges, each of them the whole page.
          request.ranges.clear();
          // What it costs to compress is not for peers to choose.
          request.headers.erase("Accept-Encoding");
        });
    ::shutdown(connection, SHUT_RDWR);
    close(connection);
    return served;
  }

  const int listener_;
  const int stop_;
};

absl::Status Failure(absl::string_view why) { return absl::FailedPreconditionError(why); }

absl::StatusOr<int> Listen(const Address& address) {
  addrinfo hints = {};
  hints.ai_flags = AI_PASSIVE;
  hints.ai_family = absl::StrContains(address.host, ':') ? AF_INET6 : AF_INET;
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* found = nullptr;
  const std::string port = absl::StrCat(address.port);
  if (const int error = getaddrinfo(address.host.c_str(), port.c_str(), &hints, &found)) {
    return Failure(gai_strerror(error));
  }
  const absl::Cleanup free_found = [found] { freeaddrinfo(found); };
  const int listener = socket(found->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (listener < 0) return Failure(std::strerror(errno));
  const int yes = 1;  // connections of an earlier process do not count
  if (setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof(yes)) == 0 &&
      bind(listener, found->ai_addr, found->ai_addrlen) == 0 && listen(listener, kWaiting) == 0) {
    return listener;
  }
  const int error = errno;
  close(listener);
  return Failure(std::strerror(error));
}

}  // namespace

struct HttpPages::Parts {
  explicit Parts(Pages p) : pages(std::move(p)) {}
  ~Parts() {
    if (listener >= 0) shutdown(listener, SHUT_RDWR);  // wakes who accepts
    if (stop >= 0) eventfd_write(stop, 1);
    for (std::thread& thread : threads) thread.join();
    if (listener >= 0) close(listener);
    if (stop >= 0) close(stop);
  }

  const Pages pages;
  int listener = -1;
  int stop = -1;  // eventfd
  std::vector<std::unique_ptr<PageServer>> servers;
  std::vector<std::thread> threads;
};

HttpPages::HttpPages(std::unique_ptr<Parts> parts) : parts_(std::move(parts)) {}
HttpPages::~HttpPages() = default;

absl::StatusOr<std::unique_ptr<HttpPages>> HttpPages::Start(const Address& address, Pages pages) {
  auto parts = std::make_unique<Parts>(std::move(pages));
  ASSIGN_OR_RETURN(parts->listener, Listen(address));
  parts->stop = eventfd(0, EFD_CLOEXEC);
  if (parts->stop < 0) return Failure(std::strerror(errno));
  for (int i = 0; i < kThreads; ++i) {
    parts->servers.push_back(
        std::make_unique<PageServer>(parts->pages, parts->listener, parts->stop));
    parts->threads.emplace_back(&PageServer::Serve, parts->servers.back().get());
  }
  return std::unique_ptr<HttpPages>(new HttpPages(std::move(parts)));
}

int HttpPages::port() const {
  sockaddr_in6 own = {};  // has room for both, and their port at one place
  socklen_t size = sizeof(own);
  getsockname(parts_->listener, reinterpret_cast<sockaddr*>(&own), &size);
  return ntohs(own.sin6_port);
}

}  // namespace likeness

#include "server/base/visitors.h"

#include <fcntl.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cstddef>
#include <optional>
#include <utility>
#include <vector>

namespace likeness::server {
namespace {

constexpr uint8_t kEstablished = 1;
constexpr uint8_t kCloseWait = 8;  // the peer sends no more
constexpr int kAnyWindow = 1 << 30;
constexpr int64_t kMuchAtOnce = 16 << 10;
constexpr int kUsualBuffer =
    64 << 10;  // half of what a socket has by default; the kernel doubles it

struct Traffic {
  bool open = false;
  int64_t received = 0;  // bytes
};

std::optional<Traffic> TrafficOf(int fd) {
  tcp_info info = {};
  socklen_t size = sizeof(info);
  if (getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &size) != 0 ||
      size < offsetof(tcp_info, tcpi_bytes_received) + sizeof(info.tcpi_bytes_received)) {
    return std::nullopt;
  }
  const bool open = info.tcpi_state == kEstablished || info.tcpi_state == kCloseWait;
  return Traffic{open, static_cast<int64_t>(info.tcpi_bytes_received)};
}

// So that little lies there unread: gRPC would read all of it, call for call, before it answers
// one. Left as it is where the kernel (before Linux 5.15) could not adapt the size again
// afterwards.
void KeepSmall(int fd, int bytes) {
  int locked = 0;
  socklen_t size = sizeof(locked);
  if (getsockopt(fd, SOL_SOCKET, SO_BUF_LOCK, &locked, &size) != 0) return;
  setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &bytes, sizeof(bytes));
}

// The kernel adapts the buffer's size to the traffic again.
void LetGrow(int fd) {
  int locked = 0;
  socklen_t size = sizeof(locked);
  if (getsockopt(fd, SOL_SOCKET, SO_BUF_LOCK, &locked, &size) != 0) return;
  setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &kUsualBuffer, sizeof(kUsualBuffer));
  // The window was fitted to the small buffer, too.
  setsockopt(fd, IPPROTO_TCP, TCP_WINDOW_CLAMP, &kAnyWindow, sizeof(kAnyWindow));
  locked &= ~SOCK_RCVBUF_LOCK;
  setsockopt(fd, SOL_SOCKET, SO_BUF_LOCK, &locked, sizeof(locked));
}

// Ends the connection at once. After a mere shutdown what the peer goes on to send would still be
// read.
void Reset(int fd) {
  sockaddr nowhere = {};
  nowhere.sa_family = AF_UNSPEC;
  if (connect(fd, &nowhere, sizeof(nowhere)) != 0) shutdown(fd, SHUT_RDWR);
}

}  // namespace

Visitors::~Visitors() {
  for (auto& [peer, visitor] : known_) {
    if (visitor->open()) close(visitor->fd);
  }
}

void Visitors::Add(int fd, const std::string& peer) {
  const int copy = fcntl(fd, F_DUPFD_CLOEXEC, 0);
  std::lock_guard lock(mutex_);
  if (copy < 0) {  // no connection goes unwatched
    Reset(fd);
    ++closed_;
    return;
  }
  if (const auto old = known_.find(peer); old != known_.end() && old->second->open()) {
    Remove(Shared(old->second));
  }
  if (by_age_.size() >= limits_.connections) Close(Shared(known_[by_age_.front()]));
  KeepSmall(fd, limits_.unread_bytes);
  auto visitor = std::make_shared<Visitor>();
  visitor->peer = peer;
  visitor->fd = copy;
  visitor->place = by_age_.insert(by_age_.end(), peer);
  known_[peer] = std::move(visitor);
  count_ = known_.size();
}

void Visitors::Forget(absl::string_view peer) {
  if (!any()) return;
  std::lock_guard lock(mutex_);
  const auto found = known_.find(peer);
  if (found == known_.end() || !found->second->open()) return;
  const Shared visitor = found->second;
  LetGrow(visitor->fd);
  visitor->is_known = true;
  open_calls_ -= visitor->open_calls;
  Remove(visitor);
}

std::shared_ptr<void> Visitors::Enter(absl::string_view peer, bool refused) {
  if (!any()) return nullptr;
  std::lock_guard lock(mutex_);
  const auto found = known_.find(peer);
  if (found == known_.end()) return nullptr;
  const Shared visitor = found->second;
  ++open_calls_;
  ++visitor->open_calls;
  ++visitor->calls;
  if (visitor->open()) {
    ++kept_open_calls_;
    if (refused) ++visitor->refused_calls;
    if (visitor->open_calls > limits_.open_calls ||
        visitor->refused_calls > limits_.refused_calls) {
      Close(visitor);
    } else if (kept_open_calls_ > limits_.all_open_calls) {
      Close(Busiest());
    }
  }
  // An owner of nothing, whose deleter counts down.
  return std::shared_ptr<void>(this, [this, visitor](void*) { Leave(*visitor); });
}

void Visitors::Leave(Visitor& visitor) {
  std::lock_guard lock(mutex_);
  --visitor.open_calls;
  if (visitor.is_known) return;
  --open_calls_;
  if (visitor.open()) {
    --kept_open_calls_;
  } else if (visitor.open_calls == 0) {
    const auto found = known_.find(visitor.peer);
    if (found != known_.end() && found->second.get() == &visitor) known_.erase(found);
    count_ = known_.size();
  }
}

Visitors::Shared Visitors::Busiest() {
  Shared busiest = known_[by_age_.front()];
  for (const auto& [peer, visitor] : known_) {
    if (visitor->open() && visitor->open_calls > busiest->open_calls) busiest = visitor;
  }
  return busiest;
}

std::optional<int64_t> Visitors::Measure(Visitor& visitor, int64_t bytes_per_second) {
  const auto traffic = TrafficOf(visitor.fd);
  if (!traffic || !traffic->open) return std::nullopt;
  const absl::Time now = SteadyNow();
  const double allowed = absl::ToDoubleSeconds(now - std::exchange(visitor.looked, now)) *
                         static_cast<double>(bytes_per_second);
  const int64_t fresh = traffic->received - std::exchange(visitor.received, traffic->received);
  visitor.level = std::max(0.0, visitor.level - allowed) + static_cast<double>(fresh);
  return fresh;
}

bool Visitors::Look() {
  std::lock_guard lock(mutex_);
  int64_t fresh = 0;
  double all = 0;
  std::vector<Shared> open;
  for (auto next = known_.begin(); next != known_.end();) {
    const Shared visitor = (next++)->second;
    if (!visitor->open()) continue;
    const auto received = Measure(*visitor, limits_.bytes_per_second);
    const bool caller = visitor->calls > limits_.few_calls;
    const int64_t most = caller ? limits_.bytes_of_callers : limits_.bytes;
    if (!received) {
      Remove(visitor);
    } else if (visitor->level > static_cast<double>(most)) {
      Close(visitor);
    } else {
      all += visitor->level;
      open.push_back(visitor);
    }
    fresh += received.value_or(0);
  }
  const auto all_bytes = static_cast<double>(limits_.all_bytes);
  if (all > all_bytes) {
    std::sort(open.begin(), open.end(),
              [](const Shared& a, const Shared& b) { return a->level > b->level; });
  }
  for (auto most = open.begin(); all > all_bytes; ++most) {
    all -= (*most)->level;
    Close(*most);
  }
  return fresh > kMuchAtOnce;
}

void Visitors::Close(const Shared& visitor) {
  Reset(visitor->fd);
  ++closed_;
  Remove(visitor);
}

void Visitors::Remove(const Shared& visitor) {
  close(std::exchange(visitor->fd, -1));
  kept_open_calls_ -= visitor->open_calls;
  by_age_.erase(visitor->place);
  if (visitor->is_known || visitor->open_calls == 0) known_.erase(visitor->peer);
  count_ = known_.size();
}

}  // namespace likeness::server

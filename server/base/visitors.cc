#include "server/base/visitors.h"

#include <fcntl.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstddef>
#include <optional>

namespace likeness::server {
namespace {

constexpr uint8_t kEstablished = 1;
constexpr uint8_t kCloseWait = 8;  // the peer sends no more

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

// Ends the connection at once. After a mere shutdown what the peer goes on to send would still be
// read.
void Reset(int fd) {
  sockaddr nowhere = {};
  nowhere.sa_family = AF_UNSPEC;
  if (connect(fd, &nowhere, sizeof(nowhere)) != 0) shutdown(fd, SHUT_RDWR);
}

}  // namespace

Visitors::~Visitors() {
  for (auto& [peer, visitor] : known_) close(visitor.fd);
}

void Visitors::Add(int fd, const std::string& peer) {
  const int copy = fcntl(fd, F_DUPFD_CLOEXEC, 0);
  std::lock_guard lock(mutex_);
  if (copy < 0) {  // no connection goes unwatched
    Reset(fd);
    ++closed_;
    return;
  }
  if (const auto old = known_.find(peer); old != known_.end()) Remove(old, false);
  if (known_.size() >= limits_.connections) Remove(known_.find(by_age_.front()), true);
  known_[peer] = {.fd = copy, .place = by_age_.insert(by_age_.end(), peer)};
  count_ = known_.size();
}

void Visitors::Forget(absl::string_view peer) {
  if (!any()) return;
  std::lock_guard lock(mutex_);
  if (const auto visitor = known_.find(peer); visitor != known_.end()) Remove(visitor, false);
}

void Visitors::CountRefused(absl::string_view peer) {
  if (!any()) return;
  std::lock_guard lock(mutex_);
  const auto visitor = known_.find(peer);
  if (visitor == known_.end()) return;
  if (++visitor->second.refused_calls > limits_.refused_calls) Remove(visitor, true);
}

void Visitors::Look() {
  std::lock_guard lock(mutex_);
  for (auto next = known_.begin(); next != known_.end();) {
    const auto visitor = next++;
    const auto traffic = TrafficOf(visitor->second.fd);
    if (!traffic || !traffic->open) {
      Remove(visitor, false);
    } else if (traffic->received > limits_.bytes) {
      Remove(visitor, true);
    }
  }
}

void Visitors::Remove(Known::iterator visitor, bool close_connection) {
  if (close_connection) {
    Reset(visitor->second.fd);
    ++closed_;
  }
  close(visitor->second.fd);
  by_age_.erase(visitor->second.place);
  known_.erase(visitor);
  count_ = known_.size();
}

}  // namespace likeness::server

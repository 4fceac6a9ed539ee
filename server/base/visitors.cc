#include "server/base/visitors.h"

#include <algorithm>
#include <bit>
#include <optional>
#include <utility>
#include <vector>

namespace likeness::server {
namespace {

constexpr int64_t kMuchAtOnce = 16 << 10;

// A visitor of whom nothing is on its way takes no share of what may be: health checks now and then
// must not keep others waiting.
template <typename Visitor>
bool IsQuiet(const Visitor& visitor, const VisitorLimits& limits) {
  return visitor.received > 0 && visitor.unsettled() == 0 &&
         SteadyNow() - visitor.last_bytes >= limits.quiet_after;
}

}  // namespace

void Visitors::Add(int fd, const std::string& peer) {
  TcpSocket copy = TcpSocket::CopyOf(fd);
  std::lock_guard lock(mutex_);
  if (!copy.valid()) {  // no connection goes unwatched
    TcpSocket::Reset(fd);
    ++closed_;
    return;
  }
  if (const auto old = known_.find(peer); old != known_.end() && old->second->open()) {
    Remove(Shared(old->second));
  }
  if (by_age_.size() >= limits_.connections) Close(Shared(known_[by_age_.front()]));
  auto visitor = std::make_shared<Visitor>();
  visitor->peer = peer;
  visitor->socket = std::move(copy);
  visitor->socket.KeepSmall(limits_.unread_bytes);
  int64_t talking = 1, quiet = 0;
  for (const auto& [other, known] : known_) {
    if (known->open()) ++(IsQuiet(*known, limits_) ? quiet : talking);
  }
  Allow(*visitor, SharesOf(talking, quiet).talking);
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
  visitor->socket.LetGrow();
  visitor->socket.AllowAll();
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

std::optional<int64_t> Visitors::Measure(Visitor& visitor) const {
  const TcpSocket::Traffic traffic = visitor.socket.Look();
  const absl::Time now = SteadyNow();
  const int64_t fresh = std::max<int64_t>(traffic.received - visitor.received, 0);
  visitor.received += fresh;
  if (!traffic.open) return std::nullopt;
  const double leaked = absl::ToDoubleSeconds(now - std::exchange(visitor.looked, now)) *
                        static_cast<double>(limits_.bytes_per_second);
  visitor.level = std::max(0.0, visitor.level - leaked) + static_cast<double>(fresh);
  const int64_t read = visitor.received - traffic.unread;
  // Who sends byte after byte must not keep those before from settling.
  if (now - visitor.mark_time >= limits_.settles_unseen) {
    visitor.settled = std::max(visitor.settled, std::min(visitor.mark_received, read));
    visitor.mark_time = now;
    visitor.mark_received = visitor.received;
  }
  if (fresh > 0) {
    visitor.last_bytes = now;
    visitor.calls_before = visitor.calls;
    return fresh;
  }
  // On a busy machine gRPC may take long to get to them: calls are the sign that it has.
  const bool seen = visitor.calls > visitor.calls_before;
  if (now - visitor.last_bytes >= (seen ? limits_.settles : limits_.settles_unseen)) {
    visitor.settled = std::max(visitor.settled, read);
  }
  return fresh;
}

Visitors::Shares Visitors::SharesOf(int64_t talking, int64_t quiet) const {
  if (open_calls_ >= limits_.all_open_calls) return {};
  const bool alarmed = SteadyNow() < alarm_end_;
  const int64_t least = limits_.least_at_once;
  // A power of two: a share that changed with each visitor would cost a system call for each.
  const auto share = [&](int64_t bytes, int64_t visitors, int64_t most) {
    const auto each =
        static_cast<uint64_t>(std::max<int64_t>(bytes, 0) / std::max<int64_t>(visitors, 1));
    return std::clamp(static_cast<int64_t>(std::bit_floor(each)), least, std::max(most, least));
  };
  const int64_t left = limits_.unsettled_bytes - lingering_bytes_;
  const int64_t quiet_share = share(left - talking * least, quiet, limits_.quiet_at_once);
  const int64_t talking_share =
      share(left - quiet * quiet_share, talking,
            alarmed ? limits_.bytes_at_once_alarmed : limits_.bytes_at_once);
  return {talking_share, std::min(quiet_share, talking_share)};
}

void Visitors::Allow(Visitor& visitor, int64_t more) {
  const int64_t allowed = std::max(visitor.received, visitor.settled + more);
  if (std::exchange(visitor.allowed, allowed) != allowed) visitor.socket.AllowFirst(allowed);
}

bool Visitors::AllowMore(const std::vector<Shared>& open) {
  lingering_bytes_ = DropReleased();
  int64_t unsettled = lingering_bytes_;
  for (const Shared& visitor : open) unsettled += visitor->unsettled();
  crowded_ = unsettled > limits_.unsettled_bytes;
  if (crowded_) alarm_end_ = SteadyNow() + limits_.alarm;
  const auto is_quiet = [&](const Shared& visitor) { return IsQuiet(*visitor, limits_); };
  const int64_t quiet = std::count_if(open.begin(), open.end(), is_quiet);
  const Shares shares = SharesOf(std::ssize(open) - quiet, quiet);
  for (const Shared& visitor : open) {
    Allow(*visitor, is_quiet(visitor) ? shares.quiet : shares.talking);
  }
  return unsettled > kMuchAtOnce;
}

int64_t Visitors::DropReleased() {
  int64_t bytes = 0;
  const absl::Time now = SteadyNow();
  std::erase_if(lingering_, [&](const Lingering& one) {
    if (now >= one.end || !one.socket.IsHeldByOwner()) return true;
    bytes += one.bytes;
    return false;
  });
  return bytes;
}

bool Visitors::Look() {
  std::lock_guard lock(mutex_);
  const bool alarmed = SteadyNow() < alarm_end_;
  const int64_t bytes = alarmed ? std::min(limits_.bytes, limits_.bytes_alarmed) : limits_.bytes;
  double all = 0;
  std::vector<Shared> open;
  for (auto next = known_.begin(); next != known_.end();) {
    const Shared visitor = (next++)->second;
    if (!visitor->open()) continue;
    const auto received = Measure(*visitor);
    const bool caller = visitor->calls > limits_.few_calls;
    const int64_t most = caller ? limits_.bytes_of_callers : bytes;
    if (!received) {
      Remove(visitor);
    } else if (visitor->level > static_cast<double>(most)) {
      Close(visitor);
    } else {
      all += visitor->level;
      open.push_back(visitor);
    }
  }
  const auto all_bytes = static_cast<double>(limits_.all_bytes);
  if (all > all_bytes) {
    std::sort(open.begin(), open.end(),
              [](const Shared& a, const Shared& b) { return a->level > b->level; });
  }
  while (all > all_bytes) {
    all -= open.front()->level;
    Close(open.front());
    open.erase(open.begin());
  }
  return AllowMore(open);
}

void Visitors::Close(const Shared& visitor) {
  (void)Measure(*visitor);
  visitor->socket.Reset();
  alarm_end_ = SteadyNow() + limits_.alarm;
  ++closed_;
  Remove(visitor);
}

void Visitors::Remove(const Shared& visitor) {
  TcpSocket socket = std::move(visitor->socket);
  if (!visitor->is_known && socket.IsHeldByOwner()) {
    lingering_.push_back({std::move(socket), visitor->unsettled(), SteadyNow() + limits_.lingers});
  }
  kept_open_calls_ -= visitor->open_calls;
  by_age_.erase(visitor->place);
  if (visitor->is_known || visitor->open_calls == 0) known_.erase(visitor->peer);
  count_ = known_.size();
}

}  // namespace likeness::server

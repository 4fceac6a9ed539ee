// Connections on which nobody has shown a key yet. gRPC takes in whatever a peer sends - a header
// block or a message of 4 GB, or calls by the thousand - before it looks at any limit of its own;
// so such a connection may have little in the kernel's buffer at a time, is let no further while
// what came before may not have been looked at, and is closed from outside when it has sent more
// than a visitor needs, has more calls open, or was refused more of them than anybody would try.
// With its first good key a connection is a visitor no longer.
#pragma once

#include <atomic>
#include <cstdint>
#include <list>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/container/flat_hash_map.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "common/clock.h"
#include "server/base/tcp_socket.h"

namespace likeness::server {

// What is left to peers without a key; decision 34 says how it adds up.
struct VisitorLimits {
  // Sent beyond what may be sent all the time: headers with a key, and as much of a body as clients
  // send before they hear of us. Less once more than a few calls without a key were seen.
  int64_t bytes = 256 << 10;
  int64_t bytes_of_callers = 32 << 10;
  int few_calls = 10;
  int64_t bytes_per_second = 1 << 10;  // several health checks
  int64_t all_bytes = 8 << 20;  // by all of them together; beyond, who sent the most is closed
  int refused_calls = 200;      // in all
  int open_calls = 100;         // at a time
  int all_open_calls = 1'000;   // of all of them together; beyond, who has the most is closed
  size_t connections = 1'000;   // one more closes the oldest
  int unread_bytes = 2 << 10;   // that the kernel keeps for us; it doubles them

  // Bytes that gRPC may have made calls of which we have not seen yet: what it has not read, or
  // came in within `settles`, or `settles_unseen` if no call has come out of it or more has come
  // since; and what closed connections had sent as long as gRPC has not let go of them. Visitors
  // share this: the kernel lets in no more of each than its share, and at most `bytes_at_once`;
  // who has been quiet may begin with `quiet_at_once`, or less where that would be too much.
  // Beyond, no connection is taken; and for the time of `alarm`, as after each connection that had
  // to be closed, a visitor has less.
  int64_t unsettled_bytes = 64 << 10;
  int64_t bytes_at_once = 64 << 10;
  int64_t least_at_once = 64;  // however many there are: `connections` of it are within the sum
  int64_t quiet_at_once = 256;
  // Longer than TCP takes to send again what was cut off: or the rest would be cut off each time.
  absl::Duration quiet_after = absl::Seconds(2);
  int64_t bytes_at_once_alarmed = 4 << 10;
  int64_t bytes_alarmed = 64 << 10;  // in place of `bytes`, where that is more
  absl::Duration settles = absl::Milliseconds(10);
  absl::Duration settles_unseen = absl::Milliseconds(250);
  absl::Duration alarm = absl::Seconds(10);
  absl::Duration lingers = absl::Seconds(5);  // at most, of a closed connection
};

// Thread-safe.
class Visitors {
 public:
  explicit Visitors(const VisitorLimits& limits = {}) : limits_(limits) {}

  // A connection was opened. `fd` is its socket, of which a copy is kept, and which must be open
  // until all of the connection's calls are over; `peer` as gRPC spells it: "ipv4:10.0.0.1:4711".
  void Add(int fd, const std::string& peer);

  // The peer has shown a good key.
  void Forget(absl::string_view peer);

  // A call without a key counts until what is returned goes away, which must not be after this.
  // Null when the peer is no visitor. `refused`: for want of a good key.
  std::shared_ptr<void> Enter(absl::string_view peer, bool refused);

  // Closes the connections that have sent too much, and lets the others on; to be called again and
  // again. Whether much came in that has not settled, so that the next look should come soon.
  bool Look();

  // Whether as many calls without a key are open as may be, those of closed connections included:
  // they take memory until gRPC has ended them, so no more connections should be taken meanwhile.
  // The same while more may be on their way to us.
  bool full() const { return open_calls_ >= limits_.all_open_calls || crowded_; }
  bool any() const { return count_ > 0; }
  int64_t closed() const { return closed_; }  // so far

 private:
  struct Visitor {
    std::string peer;
    TcpSocket socket;      // none once the connection is closed
    int calls = 0;         // without a key, in all
    int64_t received = 0;  // bytes, at the last look
    double level = 0;      // of them, beyond what may be sent all the time
    absl::Time looked = SteadyNow();
    int64_t settled = 0;  // bytes of which no calls are on their way to us any more
    absl::Time last_bytes = absl::InfinitePast();
    // What had come in by then: settles by itself, however much comes in after it.
    absl::Time mark_time = SteadyNow();
    int64_t mark_received = 0;
    int calls_before = 0;  // `calls` when bytes last came in
    int64_t allowed = 0;   // bytes that the kernel lets in
    int refused_calls = 0;
    int open_calls = 0;
    bool is_known = false;  // has shown a key: its calls count no more
    std::list<std::string>::iterator place;

    bool open() const { return socket.valid(); }
    int64_t unsettled() const { return received - settled; }
  };
  // A connection that is closed, of which gRPC may still have calls.
  struct Lingering {
    TcpSocket socket;
    int64_t bytes = 0;  // that had not settled
    absl::Time end;     // when it counts no more in any case
  };
  using Shared = std::shared_ptr<Visitor>;

  // How many bytes have come in since the last look; nothing if the connection is over.
  std::optional<int64_t> Measure(Visitor& visitor) const;
  // What each visitor has of what may be unsettled.
  struct Shares {
    int64_t talking = 0;
    int64_t quiet = 0;
  };
  // Nothing while as many calls are open as may be.
  Shares SharesOf(int64_t talking, int64_t quiet) const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // Lets in as many bytes of the visitor beyond those that have settled.
  static void Allow(Visitor& visitor, int64_t more);
  // The same for all that are open. Whether many bytes have not settled.
  bool AllowMore(const std::vector<Shared>& open) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // Closed connections of which gRPC has let go; the unsettled bytes of the others.
  int64_t DropReleased() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  void Leave(Visitor& visitor);
  // Of the connections that are not closed; there is one.
  Shared Busiest() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void Close(const Shared& visitor) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // Watches it no longer; its calls count on until they end.
  void Remove(const Shared& visitor) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  const VisitorLimits limits_;
  std::mutex mutex_;
  absl::flat_hash_map<std::string, Shared> known_ ABSL_GUARDED_BY(mutex_);  // by peer; closed ones
                                                                            // until their calls end
  std::list<std::string> by_age_ ABSL_GUARDED_BY(mutex_);                   // peers, oldest first
  int kept_open_calls_ ABSL_GUARDED_BY(mutex_) = 0;  // of connections that are not closed
  std::vector<Lingering> lingering_ ABSL_GUARDED_BY(mutex_);
  int64_t lingering_bytes_ ABSL_GUARDED_BY(mutex_) = 0;  // at the last look
  absl::Time alarm_end_ ABSL_GUARDED_BY(mutex_) = absl::InfinitePast();
  std::atomic<bool> crowded_ = false;  // more bytes than may be have not settled
  std::atomic<int> open_calls_ = 0;    // of all
  std::atomic<size_t> count_ = 0;
  std::atomic<int64_t> closed_ = 0;
};

}  // namespace likeness::server

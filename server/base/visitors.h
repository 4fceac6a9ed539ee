// Connections on which nobody has shown a key yet. gRPC takes in whatever a peer sends - a header
// block or a message of 4 GB - before it looks at any limit of its own; so a connection is closed
// from outside when it has sent more than a visitor needs, or was refused more calls than
// anybody would try. With its first good key a connection is a visitor no longer.
#pragma once

#include <atomic>
#include <cstdint>
#include <list>
#include <mutex>
#include <string>

#include "absl/base/thread_annotations.h"
#include "absl/container/flat_hash_map.h"
#include "absl/strings/string_view.h"

namespace likeness::server {

struct VisitorLimits {
  int64_t bytes = 256 << 10;   // sent in all: headers with a key, or thousands of health checks
  int refused_calls = 500;     // in all
  size_t connections = 1'000;  // one more closes the oldest
};

// Thread-safe.
class Visitors {
 public:
  explicit Visitors(const VisitorLimits& limits = {}) : limits_(limits) {}
  ~Visitors();

  // A connection was opened. `fd` is its socket, of which a copy is kept; `peer` as gRPC spells it:
  // "ipv4:10.0.0.1:4711".
  void Add(int fd, const std::string& peer);

  // The peer has shown a good key.
  void Forget(absl::string_view peer);
  // A call without a good key was refused.
  void CountRefused(absl::string_view peer);

  // Closes the connections that have sent too much; to be called again and again.
  void Look();

  bool any() const { return count_ > 0; }
  int64_t closed() const { return closed_; }  // so far

 private:
  struct Visitor {
    int fd = -1;
    int refused_calls = 0;
    std::list<std::string>::iterator place;
  };
  using Known = absl::flat_hash_map<std::string, Visitor>;

  void Remove(Known::iterator visitor, bool close_connection) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  const VisitorLimits limits_;
  std::mutex mutex_;
  Known known_ ABSL_GUARDED_BY(mutex_);                    // by peer
  std::list<std::string> by_age_ ABSL_GUARDED_BY(mutex_);  // peers, oldest first
  std::atomic<size_t> count_ = 0;
  std::atomic<int64_t> closed_ = 0;
};

}  // namespace likeness::server

// Whether the server can do its work: what load balancers and people ask. A server that is not
// ready still answers what it can; whether it is alive at all is another question (/livez).
#pragma once

#include <functional>
#include <mutex>
#include <string>

#include "absl/base/thread_annotations.h"

namespace likeness::server {

// Thread-safe.
class Health {
 public:
  enum Trouble { kDraining, kDiskHangs, kStoreFails, kDiskFull };

  // `tell` is called with every change of ready(), in order; once it drains there is none any more.
  void OnChange(std::function<void(bool ready)> tell);

  void Set(Trouble trouble, bool is_so);
  bool ready() const;
  bool has(Trouble trouble) const;
  // "draining", ... in the order of the list; empty when ready.
  std::string complaint() const;

 private:
  mutable std::mutex mutex_;
  std::function<void(bool)> tell_ ABSL_GUARDED_BY(mutex_) = [](bool) {};
  unsigned troubles_ ABSL_GUARDED_BY(mutex_) = 0;  // a bit for each
};

}  // namespace likeness::server

// SIGTERM and SIGINT as a request to stop.
#pragma once

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"

namespace grpc {
class ClientContext;
}

namespace likeness {

// One for a process. Thread-safe.
class Shutdown {
 public:
  // Takes both signals over from this moment on: make it before any other thread starts. The first
  // signal requests the stop; a second one ends the process at once.
  Shutdown();
  Shutdown(const Shutdown&) = delete;
  Shutdown& operator=(const Shutdown&) = delete;

  void Request();
  bool requested() const;
  // The time for a clean end is over: what the server did not hear by now it will not hear. It
  // begins with the request, and again with each Extend(): a step that was under way, a checkpoint
  // that is being written or sent, may take as long as it takes.
  bool overdue() const;
  void Extend();

  // While it lives, a request cancels the call: for calls that wait long.
  class Cancels {
   public:
    Cancels(Shutdown& shutdown, grpc::ClientContext& context);
    ~Cancels();

   private:
    Shutdown& shutdown_;
  };

 private:
  mutable absl::Mutex mutex_;
  // By SteadyNow().
  absl::Time requested_at_ ABSL_GUARDED_BY(mutex_) = absl::InfiniteFuture();
  absl::Time extended_at_ ABSL_GUARDED_BY(mutex_) = absl::InfinitePast();
  grpc::ClientContext* waiting_ ABSL_GUARDED_BY(mutex_) = nullptr;
};

}  // namespace likeness

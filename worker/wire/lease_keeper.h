// Keeps a lease alive from a thread of its own, and carries news both ways with each heartbeat.
//
// The thread that trains only leaves its latest news here; it never waits for the network. While
// the server is away the news are kept and the lease is taken to be alive: the server alone decides
// that it is lost.
#pragma once

#include <condition_variable>
#include <functional>
#include <mutex>
#include <string>
#include <thread>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/time/time.h"
#include "likeness/v1/worker_service.grpc.pb.h"

namespace likeness {

// Thread-safe.
class LeaseKeeper {
 public:
  // `stub` must outlive the keeper. Starts the thread. Whoever works under a lease that was lost
  // stops; a process that still has not after `hang_limit` never will, and is ended, so that what
  // watches over it can start another.
  LeaseKeeper(v1::WorkerService::StubInterface& stub, const v1::Lease& lease,
              absl::Duration hang_limit = absl::Hours(1));
  ~LeaseKeeper();

  // The newest progress replaces what was not sent yet.
  void Report(const v1::Progress& progress);
  void Resolved(const v1::ResolvedSpec& resolved);
  void Checkpoint(const v1::Checkpoint& checkpoint);
  // These are sent once each.
  void Warn(const std::string& text);
  void Log(v1::LogSeverity severity, const std::string& text);
  // One without an output takes the place of an earlier such one that waits: of previews that are
  // drawn faster than heartbeats are sent, the newest is seen.
  void Sample(const v1::SampleEvent& sample);

  // Waits until all news are with the server or the lease is lost; false when the time is up
  // before.
  bool Flush(absl::Duration limit);

  // Another holds the job now, or nobody: nothing this worker says about it counts any more.
  bool lost() const;
  bool cancel_requested() const;
  // The job is to go to another worker.
  bool release_requested() const;

 private:
  // Adds to what is sent next.
  void Tell(const std::function<void(v1::HeartbeatRequest& news)>& add);
  void Run();
  // Waits until there is something to send or the lease wants renewal; false when the keeper is
  // going away.
  bool AwaitNextBeat();
  void Beat();
  void EndIfItHangs();
  void Settle(const absl::Status& status, const v1::HeartbeatResponse& response);

  v1::WorkerService::StubInterface& stub_;
  const std::string token_;
  const absl::Duration interval_;  // between heartbeats without news
  const absl::Duration hang_limit_;

  mutable std::mutex mutex_;
  // Waits on the steady clock: a date that is set back must not delay a heartbeat.
  std::condition_variable changed_;
  v1::HeartbeatRequest news_ ABSL_GUARDED_BY(mutex_);     // not sent yet
  v1::HeartbeatRequest sending_ ABSL_GUARDED_BY(mutex_);  // sent, not confirmed
  bool has_news_ ABSL_GUARDED_BY(mutex_) = false;
  int64_t sequence_ ABSL_GUARDED_BY(mutex_) = 0;  // of what is under way
  bool unconfirmed_ ABSL_GUARDED_BY(mutex_) = false;
  bool lost_ ABSL_GUARDED_BY(mutex_) = false;
  bool cancel_requested_ ABSL_GUARDED_BY(mutex_) = false;
  bool release_requested_ ABSL_GUARDED_BY(mutex_) = false;
  bool stopping_ ABSL_GUARDED_BY(mutex_) = false;
  int flushing_ ABSL_GUARDED_BY(mutex_) = 0;  // callers in Flush
  int failures_ ABSL_GUARDED_BY(mutex_) = 0;  // heartbeats in a row that did not arrive
  std::thread thread_;
};

}  // namespace likeness

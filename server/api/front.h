// What every RPC goes through, once for all methods: the caller and what they may do, how many
// calls they have under way, time, log, metrics, status, and the drain.
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "google/protobuf/message.h"
#include "grpcpp/server_context.h"
#include "server/api/call.h"
#include "server/api/lease_queue.h"
#include "server/auth/audit_log.h"
#include "server/auth/authenticator.h"
#include "server/auth/call_counts.h"
#include "server/auth/call_limits.h"
#include "server/base/pools.h"
#include "server/base/visitors.h"
#include "server/jobs/audit_note.h"
#include "server/jobs/change_feed.h"
#include "server/metrics/metrics.h"

namespace likeness::server {

// Who may call, how often, and where it is written down.
struct Gate {
  const Authenticator& authenticator;
  CallLimits& limits;
  AuditLog* audit = nullptr;     // may be nothing
  Visitors* visitors = nullptr;  // may be nothing
  // Makes the line of this thread's AuditNote durable; nothing without an audit log.
  std::function<absl::Status()> commit_note{};
};

class Front {
 public:
  // All must outlive this.
  Front(Pools& pools, ChangeFeed& feed, LeaseQueue& lease_queue, Metrics& metrics, const Gate& gate)
      : pools_(pools), feed_(feed), lease_queue_(lease_queue), metrics_(metrics), gate_(gate) {}

  // A call begins; every one of them ends with Record.
  CallInfo Begin(const char* method, grpc::ServerContext& context);
  // Who calls, if they may call `method` now. UNAUTHENTICATED, PERMISSION_DENIED;
  // RESOURCE_EXHAUSTED: RATE_LIMITED, TOO_MANY_FAILURES.
  absl::StatusOr<Caller> Admit(const grpc::ServerContext& context, const char* method) const;
  // For calls that go on for long: whether the caller still may. A key that was revoked or has
  // expired ends them.
  absl::Status Readmit(const grpc::ServerContext& context, const char* method,
                       Caller& caller) const;
  // Within it, what the caller makes the job store change is written down in the transaction.
  std::optional<AuditNote> NoteFor(const CallInfo& call,
                                   const absl::StatusOr<Caller>& caller) const;
  // Within a note, once all is well: the line about a change that is not in the job store (an
  // upload's) is durable before the caller has the answer.
  absl::Status CommitNote(const CallInfo& call, const Caller& caller) const;
  // A call's place among those that its caller has under way; free again when this goes away.
  using Place = std::shared_ptr<void>;
  // The caller's own status; RESOURCE_EXHAUSTED (TOO_MANY_CALLS).
  absl::StatusOr<Place> Enter(const absl::StatusOr<Caller>& caller, absl::string_view method);
  // Notes how a call ended: metrics, log, and the audit log, unless its change is noted already.
  void Record(const CallInfo& call, const absl::StatusOr<Caller>& caller,
              const absl::Status& status);
  Pools& pools() { return pools_; }
  LeaseQueue& lease_queue() { return lease_queue_; }
  Visitors* visitors() { return gate_.visitors; }
  ChangeFeed& feed() { return feed_; }
  Metrics& metrics() { return metrics_; }

  // From now on streams and long polls end with UNAVAILABLE; other calls go on.
  void Drain();
  bool draining() const { return draining_; }
  static absl::Status Draining();    // UNAVAILABLE (SERVER_DRAINING)
  static absl::Status Overloaded();  // UNAVAILABLE (OVERLOADED)

  // The resource that a request names, if it names one.
  static std::string ResourceOf(const google::protobuf::Message& request);

 private:
  // Whoever it is, and whether their role allows it.
  absl::StatusOr<Caller> Identify(const grpc::ServerContext& context, const char* method) const;

  static AuditEntry EntryFor(const CallInfo& call, const Caller& caller, absl::string_view resource,
                             const absl::Status& status);

  Pools& pools_;
  ChangeFeed& feed_;
  LeaseQueue& lease_queue_;
  Metrics& metrics_;
  const Gate gate_;
  CallCounts under_way_;
  std::atomic<bool> draining_ = false;
};

}  // namespace likeness::server

// What every RPC goes through, once for all methods: the caller and what they may do, the executor,
// unknown fields, time, log, metrics, status, and the drain.
#pragma once

#include <atomic>
#include <functional>
#include <optional>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "google/protobuf/message.h"
#include "grpcpp/server_context.h"
#include "grpcpp/support/server_callback.h"
#include "server/api/call.h"
#include "server/auth/audit_log.h"
#include "server/auth/authenticator.h"
#include "server/auth/call_limits.h"
#include "server/base/executor.h"
#include "server/jobs/audit_note.h"
#include "server/jobs/change_feed.h"
#include "server/metrics/metrics.h"

namespace likeness::server {

// Who may call, how often, and where it is written down.
struct Gate {
  const Authenticator& authenticator;
  CallLimits& limits;
  AuditLog* audit = nullptr;  // may be nothing
};

// A unary answer that may have to wait.
struct LongPoll {
  absl::Duration timeout;
  std::string topic;  // of the ChangeFeed: when to look again
  // Whether the answer is ready. `last`: the time is up, so answer with what there is.
  std::function<absl::StatusOr<bool>(Caller&, bool last)> attempt;
};

class Front {
 public:
  // All must outlive this.
  Front(Executor& executor, ChangeFeed& feed, Metrics& metrics, const Gate& gate)
      : executor_(executor), feed_(feed), metrics_(metrics), gate_(gate) {}

  // Runs `body` on the executor and answers with its status. A caller who may not is refused at
  // once, here and below.
  grpc::ServerUnaryReactor* Respond(grpc::CallbackServerContext* context, const char* method,
                                    const google::protobuf::Message& request,
                                    std::function<absl::Status(Caller&)> body);

  // Asks `poll` again and again until it is ready or the time is up. UNAVAILABLE (SERVER_DRAINING)
  // on a drain.
  grpc::ServerUnaryReactor* RespondWhenReady(grpc::CallbackServerContext* context,
                                             const char* method,
                                             const google::protobuf::Message& request,
                                             LongPoll poll);

  // The parts, for streams.
  absl::Status CheckRequest(const google::protobuf::Message& request) const;
  // A call begins; every one of them ends with Record.
  CallInfo Begin(const char* method, grpc::CallbackServerContext& context);
  // Who calls, if they may call `method` now. UNAUTHENTICATED, PERMISSION_DENIED;
  // RESOURCE_EXHAUSTED: RATE_LIMITED, TOO_MANY_FAILURES.
  absl::StatusOr<Caller> Admit(const grpc::CallbackServerContext& context,
                               const char* method) const;
  // For calls that go on for long: whether the caller still may. A key that was revoked or has
  // expired ends them.
  absl::Status Readmit(const grpc::CallbackServerContext& context, const char* method,
                       Caller& caller) const;
  // Within it, what the caller makes the job store change is written down in the transaction.
  std::optional<AuditNote> NoteFor(const CallInfo& call,
                                   const absl::StatusOr<Caller>& caller) const;
  // Notes how a call ended: metrics, log, and the audit log, unless its change is noted already.
  void Record(const CallInfo& call, const absl::StatusOr<Caller>& caller,
              const absl::Status& status);
  Executor& executor() { return executor_; }
  ChangeFeed& feed() { return feed_; }
  Metrics& metrics() { return metrics_; }

  // From now on streams and long polls end with UNAVAILABLE; other calls go on.
  void Drain();
  bool draining() const { return draining_; }
  static absl::Status Draining();

 private:
  // Whoever it is, and whether their role allows it.
  absl::StatusOr<Caller> Identify(const grpc::CallbackServerContext& context,
                                  const char* method) const;

  static AuditEntry EntryFor(const CallInfo& call, const Caller& caller, absl::string_view resource,
                             const absl::Status& status);

  Executor& executor_;
  ChangeFeed& feed_;
  Metrics& metrics_;
  const Gate gate_;
  std::atomic<bool> draining_ = false;
};

}  // namespace likeness::server

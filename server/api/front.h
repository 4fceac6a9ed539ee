// What every RPC goes through, once for all methods: the executor, unknown fields, the caller,
// time, log, metrics, status, and the drain.
#pragma once

#include <atomic>
#include <functional>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "google/protobuf/message.h"
#include "grpcpp/server_context.h"
#include "grpcpp/support/server_callback.h"
#include "server/base/executor.h"
#include "server/jobs/change_feed.h"
#include "server/metrics/metrics.h"

namespace likeness::server {

// Who calls. Without authentication there is one tenant.
struct Caller {
  std::string tenant = "default";
};

// One call being answered.
struct CallInfo {
  const char* method;  // "CreateJob"
  absl::Time start = absl::Now();
};

// A unary answer that may have to wait.
struct LongPoll {
  absl::Duration timeout;
  std::string topic;  // of the ChangeFeed: when to look again
  // Whether the answer is ready. `last`: the time is up, so answer with what there is.
  std::function<absl::StatusOr<bool>(const Caller&, bool last)> attempt;
};

class Front {
 public:
  // All must outlive this.
  Front(Executor& executor, ChangeFeed& feed, Metrics& metrics)
      : executor_(executor), feed_(feed), metrics_(metrics) {}

  // Runs `body` on the executor and answers with its status.
  grpc::ServerUnaryReactor* Respond(grpc::CallbackServerContext* context, const char* method,
                                    const google::protobuf::Message& request,
                                    std::function<absl::Status(const Caller&)> body);

  // Asks `poll` again and again until it is ready or the time is up. UNAVAILABLE (SERVER_DRAINING)
  // on a drain.
  grpc::ServerUnaryReactor* RespondWhenReady(grpc::CallbackServerContext* context,
                                             const char* method,
                                             const google::protobuf::Message& request,
                                             LongPoll poll);

  // The parts, for streams.
  absl::Status CheckRequest(const google::protobuf::Message& request) const;
  Caller CallerOf(const grpc::CallbackServerContext&) const { return {}; }
  void Record(const CallInfo& call, const absl::Status& status);
  Executor& executor() { return executor_; }
  ChangeFeed& feed() { return feed_; }
  Metrics& metrics() { return metrics_; }

  // From now on streams and long polls end with UNAVAILABLE; other calls go on.
  void Drain();
  bool draining() const { return draining_; }
  static absl::Status Draining();

 private:
  Executor& executor_;
  ChangeFeed& feed_;
  Metrics& metrics_;
  std::atomic<bool> draining_ = false;
};

}  // namespace likeness::server

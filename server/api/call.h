// One call being answered: its method, when it came, and the names under which it is found in logs.
#pragma once

#include <atomic>
#include <memory>
#include <string>

#include "absl/time/time.h"
#include "common/clock.h"
#include "common/logging.h"
#include "common/trace.h"
#include "grpcpp/server_context.h"

namespace likeness::server {

struct CallInfo {
  // Takes over the client's `x-request-id` and `traceparent` or draws new ones, and sends the
  // request id back as initial metadata.
  CallInfo(const char* method, grpc::ServerContext& context);

  const char* method;  // "CreateJob"
  absl::Time start = SteadyNow();
  std::string request_id;
  TraceContext trace;  // of this call: a child of the client's
  // Whether the audit line about it is in a transaction; nothing for a call that needs none.
  std::shared_ptr<std::atomic<bool>> noted{};
};

// What this thread does until the scope ends belongs to the call. It may outlive the call.
class CallScope {
 public:
  explicit CallScope(const CallInfo& call)
      : trace_(call.trace), log_({{"request_id", call.request_id}}) {}

 private:
  const TraceScope trace_;
  const LogScope log_;
};

}  // namespace likeness::server

// One unary call.
#pragma once

#include <chrono>
#include <functional>
#include <stop_token>

#include "absl/status/statusor.h"
#include "client/lib/backoff.h"
#include "client/lib/stopped.h"
#include "common/rpc_error.h"
#include "grpcpp/client_context.h"

namespace likeness::client {

inline constexpr std::chrono::seconds kCallDeadline{20};

// Runs one unary call under a deadline, until `stop`; repeats it as a rate limit demands.
template <typename Reply>
absl::StatusOr<Reply> Call(std::chrono::seconds deadline, std::stop_token stop,
                           const std::function<grpc::Status(grpc::ClientContext*, Reply*)>& call) {
  RateLimitWait rate_limit;
  while (true) {
    grpc::ClientContext context;
    context.set_deadline(std::chrono::system_clock::now() + deadline);
    std::stop_callback cancel(stop, [&context] { context.TryCancel(); });
    Reply reply;
    const absl::Status status = FromGrpcStatus(call(&context, &reply));
    if (status.ok()) return reply;
    if (!rate_limit.Passed(status, stop)) return OrStopped(status, stop);
  }
}

}  // namespace likeness::client

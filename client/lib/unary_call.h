// One unary call.
#pragma once

#include <chrono>
#include <functional>
#include <stop_token>

#include "absl/status/statusor.h"
#include "common/rpc_error.h"
#include "common/status_macros.h"
#include "grpcpp/client_context.h"

namespace likeness::client {

inline constexpr std::chrono::seconds kCallDeadline{20};

// Runs one unary call under a deadline, until `stop`.
template <typename Reply>
absl::StatusOr<Reply> Call(std::chrono::seconds deadline, std::stop_token stop,
                           const std::function<grpc::Status(grpc::ClientContext*, Reply*)>& call) {
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() + deadline);
  std::stop_callback cancel(stop, [&context] { context.TryCancel(); });
  Reply reply;
  RETURN_IF_ERROR(FromGrpcStatus(call(&context, &reply)));
  return reply;
}

}  // namespace likeness::client

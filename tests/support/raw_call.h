// A streaming call of any method in raw bytes: for services whose messages are not compiled into
// this repository, such as gRPC's own health and reflection.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "grpcpp/channel.h"
#include "grpcpp/completion_queue.h"
#include "grpcpp/generic/generic_stub.h"

namespace likeness::testing {

// Belongs to one thread. Cancels the call at its end.
class RawCall {
 public:
  // `method`: "/grpc.health.v1.Health/Watch".
  RawCall(std::shared_ptr<grpc::Channel> channel, const std::string& method);
  ~RawCall();

  // False when the call has ended.
  bool Write(const std::string& message);
  // The next message, or nothing when the call has ended.
  std::optional<std::string> Read();
  // How it ended, once it has; at most once.
  grpc::Status Finish();

 private:
  bool Wait();

  grpc::GenericStub stub_;
  grpc::ClientContext context_;
  grpc::CompletionQueue queue_;
  std::unique_ptr<grpc::GenericClientAsyncReaderWriter> call_;
  bool finished_ = false;
};

}  // namespace likeness::testing

// A call of any method, of whatever kind, with one request, in messages of the generated pool.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "google/protobuf/descriptor.h"
#include "google/protobuf/message.h"
#include "grpcpp/channel.h"

namespace likeness::testing {

// Every method of every service of this repository that is linked into the program.
std::vector<const google::protobuf::MethodDescriptor*> AllMethods();

// An empty request of the method.
std::unique_ptr<google::protobuf::Message> RequestOf(
    const google::protobuf::MethodDescriptor& method);

struct Answer {
  absl::Status status;
  std::vector<std::unique_ptr<google::protobuf::Message>> messages;
};

// Returns once the call has ended, or after `enough` messages.
Answer CallAny(const std::shared_ptr<grpc::Channel>& channel,
               const google::protobuf::MethodDescriptor& method,
               const google::protobuf::Message& request,
               const std::vector<std::pair<std::string, std::string>>& metadata = {},
               size_t enough = 1000);

}  // namespace likeness::testing

// Output for programs: the proto's own JSON, as grpcurl prints it.
#pragma once

#include <string>

#include "google/protobuf/message.h"

namespace likeness::client {

// Indented over several lines, without a newline at the end.
std::string ToJson(const google::protobuf::Message& message);

// On one line, for streams of objects.
std::string ToJsonLine(const google::protobuf::Message& message);

}  // namespace likeness::client

// A field that this version does not know would be lost without a word, so a request that has one
// is refused.
#pragma once

#include "absl/status/status.h"
#include "google/protobuf/message.h"

namespace likeness::server {

// INVALID_ARGUMENT (UNKNOWN_FIELDS) naming the message and the field numbers.
absl::Status RefuseUnknownFields(const google::protobuf::Message& message);

}  // namespace likeness::server

// Messages of the contract in their JSON form.
#pragma once

#include <string>

#include "absl/status/status.h"
#include "google/protobuf/message.h"

namespace likeness {

// Indented. Only a defect can make this fail.
std::string ToJson(const google::protobuf::Message& message);

// INVALID_ARGUMENT, with what could not be read, for anything but exactly such a message.
// `ignore_unknown`: but for fields and values of enums that are not known, which are left out.
absl::Status FromJson(const std::string& json, google::protobuf::Message& message,
                      bool ignore_unknown = false);

}  // namespace likeness

// Whether bytes are text.
#pragma once

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "google/protobuf/message.h"

namespace likeness {

bool IsUtf8(absl::string_view bytes);

// U+0000 to U+001F and U+007F to U+009F in UTF-8 text.
bool HasControlCharacter(absl::string_view text);

// INVALID_ARGUMENT naming the first string field of `message`, at any depth, that is not UTF-8:
// protobuf would refuse it only on the other side, and complain on stderr on this one.
absl::Status CheckUtf8(const google::protobuf::Message& message);

}  // namespace likeness

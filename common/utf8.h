// Whether bytes are text.
#pragma once

#include <string>

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

// The bytes with a '?' in place of each that is not part of UTF-8 text, as names of files may have.
std::string ToUtf8(absl::string_view bytes);

// Makes every string field of `message`, at any depth, UTF-8 as above, but for those of maps: one
// name of a file would make the other side refuse all of it.
void MakeUtf8(google::protobuf::Message& message);

}  // namespace likeness

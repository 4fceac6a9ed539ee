// Values of the contract's enums as words of the command line: "adamw_8bit" for
// OPTIMIZER_ADAMW_8BIT. The zero value, "not said", has no word.
#pragma once

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/str_join.h"
#include "absl/strings/string_view.h"
#include "google/protobuf/generated_enum_reflection.h"

namespace likeness::client {

// Empty for a value that this version does not know.
std::string EnumWord(const google::protobuf::EnumDescriptor& values, int value);
std::vector<std::string> EnumWords(const google::protobuf::EnumDescriptor& values);
// In upper or lower case, with '-' or '_'. 0 for an empty text; INVALID_ARGUMENT, with what is
// allowed, for what is no value's word.
absl::StatusOr<int> ParseEnumWord(const google::protobuf::EnumDescriptor& values,
                                  absl::string_view flag, absl::string_view text);

template <typename Enum>
std::string EnumWord(Enum value) {
  return EnumWord(*google::protobuf::GetEnumDescriptor<Enum>(), value);
}

// "fp32|bf16", for FlagSet::Takes.
template <typename Enum>
std::string EnumWordsWithBars() {
  return absl::StrJoin(EnumWords(*google::protobuf::GetEnumDescriptor<Enum>()), "|");
}

template <typename Enum>
absl::StatusOr<Enum> ParseEnumFlag(absl::string_view flag, absl::string_view text) {
  const auto value = ParseEnumWord(*google::protobuf::GetEnumDescriptor<Enum>(), flag, text);
  if (!value.ok()) return value.status();
  return static_cast<Enum>(*value);
}

}  // namespace likeness::client

#include "client/cli/enum_flag.h"

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/strip.h"
#include "google/protobuf/descriptor.h"

namespace likeness::client {
namespace {

using google::protobuf::EnumDescriptor;

// "OPTIMIZER_" of OPTIMIZER_UNSPECIFIED.
absl::string_view PrefixOf(const EnumDescriptor& values) {
  return absl::StripSuffix(values.FindValueByNumber(0)->name(), "UNSPECIFIED");
}

}  // namespace

std::string EnumWord(const EnumDescriptor& values, int value) {
  const auto* known = values.FindValueByNumber(value);
  if (value == 0 || known == nullptr) return "";
  return absl::AsciiStrToLower(absl::StripPrefix(known->name(), PrefixOf(values)));
}

std::vector<std::string> EnumWords(const EnumDescriptor& values) {
  std::vector<std::string> words;
  for (int i = 0; i < values.value_count(); ++i) {
    const int number = values.value(i)->number();
    if (number != 0) words.push_back(EnumWord(values, number));
  }
  return words;
}

absl::StatusOr<int> ParseEnumWord(const EnumDescriptor& values, absl::string_view flag,
                                  absl::string_view text) {
  if (text.empty()) return 0;
  const std::string word = absl::StrReplaceAll(absl::AsciiStrToUpper(text), {{"-", "_"}});
  const auto* value = values.FindValueByName(absl::StrCat(PrefixOf(values), word));
  if (value != nullptr && value->number() != 0) return value->number();
  return absl::InvalidArgumentError(absl::StrCat(
      "--", flag, " is '", text, "'; ", absl::StrJoin(EnumWords(values), ", "), " are allowed."));
}

}  // namespace likeness::client

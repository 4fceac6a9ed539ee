#include "client/cli/flag_words.h"

#include <map>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "client/cli/enum_flag.h"
#include "client/cli/field_flags.h"
#include "likeness/v1/job.pb.h"

namespace likeness::client {
namespace {

using Words = std::map<std::string, std::string, std::less<>>;

// Of the file's enums, and of the API's files that it is made of.
void AddEnums(const google::protobuf::FileDescriptor& file, Words& words) {
  if (file.package() != "likeness.v1") return;
  for (int i = 0; i < file.enum_type_count(); ++i) {
    const auto& values = *file.enum_type(i);
    for (int j = 1; j < values.value_count(); ++j) {
      words.emplace(values.value(j)->name(), EnumWord(values, values.value(j)->number()));
    }
  }
  for (int i = 0; i < file.dependency_count(); ++i) AddEnums(*file.dependency(i), words);
}

// The values of the API's enums, as flags take them.
const Words& ValueWords() {
  static const Words& all = *[] {
    auto* words = new Words;
    AddEnums(*v1::Job::descriptor()->file(), *words);
    return words;
  }();
  return all;
}

bool IsPartOfName(char c) {
  return absl::ascii_isalnum(c) || c == '_' || c == '.' || c == '[' || c == ']';
}

// What stands for `name`; empty if it stays.
std::string WordFor(absl::string_view name) {
  if (const auto found = ValueWords().find(name); found != ValueWords().end()) return found->second;
  if (absl::StrContains(name, "photos[") || absl::StrContains(name, "gallery[")) return "";
  const bool whole = absl::StartsWith(name, "job.") || absl::StartsWith(name, "generate.");
  return whole ? FlagForField(name) : FlagForPartOfField(name);
}

}  // namespace

std::string InWordsOfFlags(absl::string_view text) {
  std::string told;
  while (!text.empty()) {
    size_t end = 0;
    while (end < text.size() && IsPartOfName(text[end])) ++end;
    if (end == 0) {
      told += text[0];
      text.remove_prefix(1);
      continue;
    }
    absl::string_view name = text.substr(0, end);
    while (absl::EndsWith(name, ".")) name.remove_suffix(1);  // of the sentence
    // A part of a path, of a flag, of a pattern, or of what somebody wrote is no name of the API.
    constexpr absl::string_view kAround = "\"'/-{}";
    const char before = told.empty() ? ' ' : told.back();
    const char after = name.size() < text.size() ? text[name.size()] : ' ';
    const bool quoted = absl::StrContains(kAround, absl::string_view(&before, 1)) ||
                        absl::StrContains(kAround, absl::string_view(&after, 1));
    const std::string word = quoted || name.empty() ? "" : WordFor(name);
    absl::StrAppend(&told, word.empty() ? name : word);
    if (name.empty()) told += text[0];
    text.remove_prefix(name.empty() ? 1 : name.size());
  }
  return told;
}

}  // namespace likeness::client

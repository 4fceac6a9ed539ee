#include "common/flags.h"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <limits>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/str_split.h"
#include "common/nearest.h"
#include "common/rpc_error.h"
#include "common/status_macros.h"

namespace likeness {
namespace {

absl::Status Wrong(absl::string_view text, absl::string_view wanted) {
  return absl::InvalidArgumentError(absl::StrCat("\"", text, "\" is not ", wanted));
}

template <typename T>
absl::Status SetInteger(absl::string_view text, T* target) {
  if (absl::SimpleAtoi(text, target)) return absl::OkStatus();
  return Wrong(text, absl::StrCat("a whole number from ", std::numeric_limits<T>::min(), " to ",
                                  std::numeric_limits<T>::max()));
}

constexpr size_t kHelpColumns = 80;

// `text` broken at spaces into lines of kHelpColumns, each behind `indent` spaces.
std::string Wrapped(absl::string_view text, size_t indent) {
  std::string lines, line;
  const auto end_line = [&] {
    absl::StrAppend(&lines, std::string(indent, ' '), line, "\n");
    line.clear();
  };
  for (absl::string_view word : absl::StrSplit(text, ' ', absl::SkipEmpty())) {
    if (!line.empty() && indent + line.size() + 1 + word.size() > kHelpColumns) end_line();
    absl::StrAppend(&line, line.empty() ? "" : " ", word);
  }
  end_line();
  return lines;
}

absl::Status Labelled(absl::string_view flag, const absl::Status& status) {
  if (status.ok()) return status;
  return InvalidField(flag, status.message(), "INVALID_FLAG");
}

}  // namespace

absl::Status FlagSet::Set(absl::string_view text, bool* target) {
  return absl::SimpleAtob(text, target) ? absl::OkStatus() : Wrong(text, "true or false");
}
absl::Status FlagSet::Set(absl::string_view text, int32_t* target) {
  return SetInteger(text, target);
}
absl::Status FlagSet::Set(absl::string_view text, uint32_t* target) {
  return SetInteger(text, target);
}
absl::Status FlagSet::Set(absl::string_view text, int64_t* target) {
  return SetInteger(text, target);
}
absl::Status FlagSet::Set(absl::string_view text, double* target) {
  return absl::SimpleAtod(text, target) ? absl::OkStatus() : Wrong(text, "a number");
}
absl::Status FlagSet::Set(absl::string_view text, std::string* target) {
  *target = std::string(text);
  return absl::OkStatus();
}
absl::Status FlagSet::Set(absl::string_view text, absl::Duration* target) {
  return absl::ParseDuration(text, target) ? absl::OkStatus()
                                           : Wrong(text, "a duration such as 500ms, 30s or 2h");
}
absl::Status FlagSet::Set(absl::string_view text, std::vector<std::string>* target) {
  target->emplace_back(text);
  return absl::OkStatus();
}

std::string FlagSet::Show(bool value) { return value ? "true" : ""; }
std::string FlagSet::Show(int32_t value) { return absl::StrCat(value); }
std::string FlagSet::Show(uint32_t value) { return absl::StrCat(value); }
std::string FlagSet::Show(int64_t value) { return absl::StrCat(value); }
std::string FlagSet::Show(double value) { return absl::StrCat(value); }
std::string FlagSet::Show(const std::string& value) { return value; }
std::string FlagSet::Show(absl::Duration value) { return absl::FormatDuration(value); }
std::string FlagSet::Show(const std::vector<std::string>&) { return ""; }

void FlagSet::Push(Flag flag) {
  if (Find(flag.name) != nullptr) {
    std::fprintf(stderr, "two flags --%s\n", flag.name.c_str());
    std::abort();
  }
  flags_.push_back(std::move(flag));
}

FlagSet& FlagSet::Takes(std::string value) {
  flags_.back().value = std::move(value);
  return *this;
}

FlagSet& FlagSet::Letter(char letter) {
  flags_.back().letter = letter;
  return *this;
}

void FlagSet::AddHeading(std::string heading) {
  Flag flag;
  flag.name = std::move(heading);
  flag.is_heading = true;
  flags_.push_back(std::move(flag));
}

const FlagSet::Flag* FlagSet::Find(absl::string_view name) const {
  for (const Flag& flag : flags_) {
    if (!flag.is_heading && flag.name == name) return &flag;
  }
  return nullptr;
}

const FlagSet::Flag* FlagSet::Meant(absl::string_view argument) const {
  if (argument.size() == 2 && argument[0] == '-') {
    for (const Flag& flag : flags_) {
      if (flag.letter == argument[1]) return &flag;
    }
  }
  if (!absl::StartsWith(argument, "--")) return nullptr;
  return Find(absl::StrReplaceAll(argument.substr(2, argument.find('=') - 2), {{"_", "-"}}));
}

absl::Status FlagSet::Unknown(absl::string_view name) const {
  std::vector<std::string> names;
  for (const Flag& flag : flags_) {
    if (!flag.is_heading) names.push_back(flag.name);
  }
  const auto nearest = Nearest(name, names);
  return InvalidField(absl::StrCat("--", name),
                      nearest.empty() ? "unknown flag; --help lists all"
                                      : absl::StrCat("unknown flag; did you mean --", nearest, "?"),
                      "UNKNOWN_FLAG");
}

absl::Status FlagSet::ReadEnvironment() const {
  for (const Flag& flag : flags_) {
    if (flag.environment.empty()) continue;
    const char* value = std::getenv(flag.environment.c_str());
    if (value == nullptr || *value == '\0') continue;
    RETURN_IF_ERROR(Labelled(flag.environment, flag.set(value)));
  }
  return absl::OkStatus();
}

absl::StatusOr<std::vector<std::string>> FlagSet::Parse(const std::vector<std::string>& args) {
  given_.clear();
  RETURN_IF_ERROR(ReadEnvironment());
  const auto set = [this](const Flag& flag, absl::string_view value) {
    const auto [before, first] = given_.emplace(flag.name, std::string(value));
    if (!first && !flag.repeats && before->second != value) {
      return absl::InvalidArgumentError(absl::StrCat("given twice, as \"", before->second,
                                                     "\" and as \"", value, "\"; once is allowed"));
    }
    return flag.set(value);
  };
  std::vector<std::string> positional;
  for (size_t i = 0; i < args.size(); ++i) {
    absl::string_view arg = args[i];
    if (arg == "--") {
      positional.insert(positional.end(), args.begin() + i + 1, args.end());
      break;
    }
    if (arg == "--help" || arg == "-h") {
      help_requested_ = true;
      return positional;
    }
    if (const Flag* flag = Meant(arg); flag != nullptr && flag->letter != 0 && arg[1] != '-') {
      if (flag->is_bool) {
        RETURN_IF_ERROR(Labelled(arg, set(*flag, "true")));
        continue;
      }
      if (i + 1 == args.size()) return InvalidField(arg, "needs a value", "INVALID_FLAG");
      RETURN_IF_ERROR(Labelled(arg, set(*flag, args[++i])));
      continue;
    }
    if (!absl::StartsWith(arg, "--")) {
      positional.emplace_back(arg);
      continue;
    }
    const size_t equals = arg.find('=');
    const std::string name = absl::StrReplaceAll(
        arg.substr(2, equals == arg.npos ? arg.npos : equals - 2), {{"_", "-"}});
    const Flag* flag = Find(name);
    if (flag == nullptr && absl::StartsWith(name, "no-") && equals == arg.npos) {
      flag = Find(absl::string_view(name).substr(3));
      if (flag != nullptr && flag->is_bool) {
        RETURN_IF_ERROR(Labelled(arg, set(*flag, "false")));
        continue;
      }
      flag = nullptr;
    }
    if (flag == nullptr) return Unknown(name);
    absl::string_view value = "true";
    if (equals != arg.npos) {
      value = arg.substr(equals + 1);
    } else if (!flag->is_bool) {
      if (i + 1 == args.size())
        return InvalidField(absl::StrCat("--", name), "needs a value", "INVALID_FLAG");
      value = args[++i];
    }
    RETURN_IF_ERROR(Labelled(absl::StrCat("--", name), set(*flag, value)));
  }
  return positional;
}

std::string FlagSet::Help() const {
  std::string help = absl::StrCat(usage_, "\n");
  for (const Flag& flag : flags_) {
    if (flag.is_heading) {
      absl::StrAppend(&help, "\n", flag.name, ":\n");
      continue;
    }
    std::string text = flag.help;
    if (!flag.shown_default.empty()) absl::StrAppend(&text, " [", flag.shown_default, "]");
    if (!flag.environment.empty()) absl::StrAppend(&text, " ($", flag.environment, ")");
    // Words that do not fit into a line stand in the text.
    constexpr size_t kRoom = 70;
    const bool fits = flag.name.size() + flag.value.size() <= kRoom;
    const std::string value = flag.is_bool ? "" : absl::StrCat("=", fits ? flag.value : "VALUE");
    const std::string letter = flag.letter ? absl::StrCat(", -", std::string(1, flag.letter)) : "";
    absl::StrAppend(&help, "  --", flag.name, value, letter, "\n", Wrapped(text, 6));
  }
  return help;
}

std::vector<std::string> Arguments(int argc, char** argv) {
  return std::vector<std::string>(argv + std::min(argc, 1), argv + argc);
}

}  // namespace likeness

#include "client/cli/setting_flags.h"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "client/cli/enum_flag.h"
#include "common/status_macros.h"

namespace likeness::client {
namespace {

using google::protobuf::Descriptor;
using google::protobuf::FieldDescriptor;
using google::protobuf::Message;
using google::protobuf::Reflection;

template <typename... Cases>
struct Overloaded : Cases... {
  using Cases::operator()...;
};

// "lora" and "rank" of "lora.rank".
std::pair<std::string, absl::string_view> FirstStep(absl::string_view path) {
  const size_t dot = path.find('.');
  return {std::string(path.substr(0, dot)), dot == path.npos ? "" : path.substr(dot + 1)};
}

const FieldDescriptor* FieldAt(const Descriptor& message, absl::string_view path) {
  const auto [name, rest] = FirstStep(path);
  const FieldDescriptor* field = message.FindFieldByName(name);
  if (field == nullptr || (!rest.empty() && field->message_type() == nullptr)) {
    std::fprintf(stderr, "no field %s\n", std::string(path).c_str());
    std::abort();
  }
  return rest.empty() ? field : FieldAt(*field->message_type(), rest);
}

// Whether another member of a oneof was chosen than the one that the path is in.
bool IsOfAnother(absl::string_view path, const Message& message) {
  const FieldDescriptor* field = message.GetDescriptor()->FindFieldByName(FirstStep(path).first);
  return field->real_containing_oneof() != nullptr &&
         !message.GetReflection()->HasField(message, field);
}

// "--rank means nothing with --method dreambooth; use --method lora or pivotal_tuning."
absl::Status OfAnother(const SettingFlag& row, const Message& message) {
  std::vector<std::string> members;
  for (absl::string_view path : PathsOf(row)) members.push_back(FirstStep(path).first);
  const auto* oneof =
      message.GetDescriptor()->FindFieldByName(members.front())->real_containing_oneof();
  const auto* chosen = message.GetReflection()->GetOneofFieldDescriptor(message, oneof);
  const std::string choice = absl::StrCat(" --", oneof->name(), " ");
  return absl::InvalidArgumentError(absl::StrCat("--", row.flag, " means nothing with", choice,
                                                 chosen == nullptr ? "" : chosen->name(), "; use",
                                                 choice, absl::StrJoin(members, " or "), "."));
}

std::string ValueName(const SettingFlag& row, const FieldDescriptor& field) {
  if (!row.value.empty()) return std::string(row.value);
  switch (field.cpp_type()) {
    case FieldDescriptor::CPPTYPE_ENUM:
      return absl::StrJoin(EnumWords(*field.enum_type()), "|");
    case FieldDescriptor::CPPTYPE_DOUBLE:
      return "X";
    case FieldDescriptor::CPPTYPE_STRING:
      return "TEXT";
    case FieldDescriptor::CPPTYPE_INT64:
      return "SIZE";
    default:
      return "N";
  }
}

// "8GiB", "800 MB" or bytes. INVALID_ARGUMENT.
absl::StatusOr<int64_t> ParseByteCount(absl::string_view flag, absl::string_view text) {
  constexpr struct {
    absl::string_view name;
    double bytes;
  } kUnits[] = {{"KiB", 1 << 10}, {"MiB", 1 << 20}, {"GiB", 1 << 30}, {"TiB", int64_t{1} << 40},
                {"kB", 1e3},      {"MB", 1e6},      {"GB", 1e9},      {"TB", 1e12},
                {"B", 1},         {"", 1}};
  constexpr double kMost = int64_t{1} << 60;
  const size_t digits = std::min(text.find_first_not_of("0123456789."), text.size());
  const absl::string_view unit = absl::StripAsciiWhitespace(text.substr(digits));
  double number = 0;
  for (const auto& known : kUnits) {
    if (!absl::EqualsIgnoreCase(unit, known.name)) continue;
    if (!absl::SimpleAtod(text.substr(0, digits), &number) || number * known.bytes > kMost) break;
    return static_cast<int64_t>(number * known.bytes);
  }
  return absl::InvalidArgumentError(
      absl::StrCat("--", flag, ": \"", absl::Utf8SafeCEscape(text),
                   "\" is not allowed; a size such as 8GiB, 800MB or 8589934592 is"));
}

}  // namespace

std::vector<absl::string_view> PathsOf(const SettingFlag& row) {
  return absl::StrSplit(row.fields, ' ', absl::SkipEmpty());
}

SettingFlags::Value SettingFlags::ValueOf(const FieldDescriptor& field) {
  const auto type = field.cpp_type();
  const bool words =
      type == FieldDescriptor::CPPTYPE_STRING || type == FieldDescriptor::CPPTYPE_ENUM;
  if (field.is_repeated() && words) return std::vector<std::string>();
  const bool size = type == FieldDescriptor::CPPTYPE_INT64;
  if (field.is_repeated() || words || size) return std::optional<std::string>();
  if (type == FieldDescriptor::CPPTYPE_BOOL) return std::optional<bool>();
  if (type == FieldDescriptor::CPPTYPE_UINT32) return std::optional<uint32_t>();
  if (type == FieldDescriptor::CPPTYPE_DOUBLE) return std::optional<double>();
  return std::optional<int32_t>();
}

SettingFlags::SettingFlags(const Descriptor& message, absl::Span<const SettingFlag> table) {
  for (const SettingFlag& row : table) {
    Setting setting{.row = row, .field = nullptr, .value = {}};
    for (absl::string_view path : PathsOf(row)) setting.field = FieldAt(message, path);
    if (setting.field != nullptr) setting.value = ValueOf(*setting.field);
    settings_.push_back(std::move(setting));
  }
}

bool SettingFlags::Given(const Setting& setting) {
  return std::visit(Overloaded{[](const std::vector<std::string>& texts) { return !texts.empty(); },
                               [](const auto& value) { return value.has_value(); }},
                    setting.value);
}

void SettingFlags::Add(Setting& setting, FlagSet& flags) {
  const SettingFlag& row = setting.row;
  if (std::exchange(setting.added, true)) return;
  if (setting.field == nullptr) return flags.AddHeading(std::string(row.help));
  std::visit(
      [&](auto& value) {
        flags.Add(std::string(row.flag), &value, std::string(row.help))
            .Takes(ValueName(row, *setting.field));
      },
      setting.value);
}

void SettingFlags::AddTo(FlagSet& flags, absl::string_view heading) {
  bool under = false;
  for (Setting& setting : settings_) {
    if (setting.field == nullptr) under = setting.row.help == heading;
    if (under) Add(setting, flags);
  }
}

void SettingFlags::AddTo(FlagSet& flags) {
  for (Setting& setting : settings_) Add(setting, flags);
}

std::string SettingFlags::GivenFor(absl::string_view part) const {
  std::vector<std::string> given;
  for (const Setting& setting : settings_) {
    if (!Given(setting) || !absl::StartsWith(setting.row.fields, absl::StrCat(part, "."))) continue;
    given.push_back(absl::StrCat("--", setting.row.flag));
  }
  return absl::StrJoin(given, ", ");
}

absl::Status SettingFlags::SetIn(Message& message) const {
  for (const Setting& setting : settings_) {
    if (!Given(setting)) continue;
    bool taken = false;
    for (absl::string_view path : PathsOf(setting.row)) {
      if (IsOfAnother(path, message)) continue;
      RETURN_IF_ERROR(SetAt(setting, path, message));
      taken = true;
    }
    if (!taken) return OfAnother(setting.row, message);
  }
  return absl::OkStatus();
}

absl::Status SettingFlags::SetAt(const Setting& setting, absl::string_view path, Message& message) {
  const auto [name, rest] = FirstStep(path);
  const FieldDescriptor* field = message.GetDescriptor()->FindFieldByName(name);
  const Reflection& reflection = *message.GetReflection();
  if (rest.empty()) return Store(setting, field, message);
  if (!field->is_repeated()) {
    return SetAt(setting, rest, *reflection.MutableMessage(&message, field));
  }
  for (int i = 0; i < reflection.FieldSize(message, field); ++i) {
    RETURN_IF_ERROR(SetAt(setting, rest, *reflection.MutableRepeatedMessage(&message, field, i)));
  }
  return absl::OkStatus();
}

absl::Status SettingFlags::Store(const Setting& setting, const FieldDescriptor* field,
                                 Message& message) {
  const Reflection& reflection = *message.GetReflection();
  const absl::string_view flag = setting.row.flag;
  const auto numbers = [&](const std::string& list) -> absl::Status {
    for (absl::string_view text : absl::StrSplit(list, ',')) {
      double number = 0;
      if (!absl::SimpleAtod(text, &number)) {
        return absl::InvalidArgumentError(
            absl::StrCat("--", flag, " is '", list,
                         "'; numbers with commas between are needed, such as 1,2,1."));
      }
      reflection.AddDouble(&message, field, number);
    }
    return absl::OkStatus();
  };
  const auto word = [&](const std::string& text) -> absl::Status {
    ASSIGN_OR_RETURN(const int value, ParseEnumWord(*field->enum_type(), flag, text));
    if (field->is_repeated()) {
      reflection.AddEnumValue(&message, field, value);
    } else {
      reflection.SetEnumValue(&message, field, value);
    }
    return absl::OkStatus();
  };
  const auto size = [&](const std::string& text) -> absl::Status {
    ASSIGN_OR_RETURN(const int64_t bytes, ParseByteCount(flag, text));
    reflection.SetInt64(&message, field, bytes);
    return absl::OkStatus();
  };
  return std::visit(Overloaded{[&](const std::optional<bool>& value) {
                                 reflection.SetBool(&message, field, *value);
                                 return absl::OkStatus();
                               },
                               [&](const std::optional<int32_t>& value) {
                                 reflection.SetInt32(&message, field, *value);
                                 return absl::OkStatus();
                               },
                               [&](const std::optional<uint32_t>& value) {
                                 reflection.SetUInt32(&message, field, *value);
                                 return absl::OkStatus();
                               },
                               [&](const std::optional<double>& value) {
                                 reflection.SetDouble(&message, field, *value);
                                 return absl::OkStatus();
                               },
                               [&](const std::optional<std::string>& text) -> absl::Status {
                                 if (field->is_repeated()) return numbers(*text);
                                 if (field->enum_type() != nullptr) return word(*text);
                                 if (field->cpp_type() == FieldDescriptor::CPPTYPE_INT64) {
                                   return size(*text);
                                 }
                                 reflection.SetString(&message, field, *text);
                                 return absl::OkStatus();
                               },
                               [&](const std::vector<std::string>& texts) -> absl::Status {
                                 for (const std::string& text : texts) {
                                   if (field->enum_type() != nullptr) {
                                     RETURN_IF_ERROR(word(text));
                                   } else {
                                     reflection.AddString(&message, field, text);
                                   }
                                 }
                                 return absl::OkStatus();
                               }},
                    setting.value);
}

}  // namespace likeness::client

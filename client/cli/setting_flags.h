// Flags that fill the fields of a request, by a table: types and words are those of the fields.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "common/flags.h"
#include "google/protobuf/message.h"

namespace likeness::client {

struct SettingFlag {
  absl::string_view flag;  // "rank"; empty: a heading, which `help` holds
  // Paths in the request, with blanks between: "lora.rank pivotal_tuning.lora.rank". Of members of
  // a oneof that is filled which was chosen; of a repeated message each is.
  absl::string_view fields;
  absl::string_view help;
  absl::string_view value = "";  // what the help calls it, if not after the field's type
};

std::vector<absl::string_view> PathsOf(const SettingFlag& row);

// A flag that is not given leaves its field unset, which the server fills in.
class SettingFlags {
 public:
  // Both must outlive this. Ends the program for a field that `message` does not have.
  SettingFlags(const google::protobuf::Descriptor& message, absl::Span<const SettingFlag> table);
  SettingFlags(const SettingFlags&) = delete;  // a FlagSet points into it

  // Those under the heading, with it.
  void AddTo(FlagSet& flags, absl::string_view heading);
  // All that were not added yet, with their headings.
  void AddTo(FlagSet& flags);

  // The flags that were given for fields of `part` ("prior"): "--prior-weight, --class-images".
  std::string GivenFor(absl::string_view part) const;

  // INVALID_ARGUMENT: a word or a number is wrong, or the flag is of another member of a oneof than
  // the one that `message` has.
  absl::Status SetIn(google::protobuf::Message& message) const;

 private:
  using Value =
      std::variant<std::optional<bool>, std::optional<int32_t>, std::optional<uint32_t>,
                   std::optional<double>, std::optional<std::string>, std::vector<std::string>>;
  struct Setting {
    const SettingFlag& row;
    const google::protobuf::FieldDescriptor* field;  // the first; null: a heading
    Value value;
    bool added = false;
  };

  static Value ValueOf(const google::protobuf::FieldDescriptor& field);
  static bool Given(const Setting& setting);
  static void Add(Setting& setting, FlagSet& flags);
  static absl::Status SetAt(const Setting& setting, absl::string_view path,
                            google::protobuf::Message& message);
  static absl::Status Store(const Setting& setting, const google::protobuf::FieldDescriptor* field,
                            google::protobuf::Message& message);

  std::vector<Setting> settings_;
};

}  // namespace likeness::client
